// Where a mount goes: the place that its path leads to, and what has to be made there.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/path.h"
#include "builder.h"
#include "mounts.h"
#include "vfs/turn_fs.h"
#include "vfs/view_fs.h"
#include "viewsh/shared_connection.h"

namespace viewsh {

const Caller& Builder::self() {
  static const Caller caller{geteuid(), getegid(), {}, 022};
  return caller;
}

std::shared_ptr<FileSystem> Builder::below() const {
  if (view_->mounts().size() == 1) return view_->mounts()[0]->fs;
  return std::make_shared<ViewFs>(view_, "/");
}

std::shared_ptr<FileSystem> Builder::in_turns(std::shared_ptr<FileSystem> fs,
                                              const std::string& type) {
  // Servers and images are made for it, a bind has nothing that somebody could find half done.
  const bool stacked = is_copy_on_write(type) || type == "merge";
  if (!stacked || !fs->waits("", true)) return fs;
  return std::make_shared<TurnFs>(std::move(fs), std::make_shared<Turn>(host_->suspension()));
}

UserError Builder::canonical(const std::string& path, const Place& place, bool must_exist,
                             Target* target) {
  WalkFlags flags;
  flags.want_exists = true;
  Result<Walked> walked = walk(*view_, {}, path, flags, self(), nullptr);
  if (walked.ok() && walked->found.kind == Found::Kind::kNode) {
    bool directory = walked->found.type == NodeType::kDirectory;
    *target = {walked->view_path, true, directory, walked->found.host};
    return {};
  }
  Errno error = walked.ok() ? Errno(ENOENT) : walked.error();
  if (must_exist || !(error == ENOENT)) return wrong(place, path, error.message());
  // The nearest ancestor that is there, its links followed, and the rest as text.
  std::string text = lexically_normal(path);
  std::string rest;
  while (text != "/") {
    rest = join_path(base_name(text), rest);
    text = parent_path(text);
    Result<Walked> up = walk(*view_, {}, text, flags, self(), nullptr);
    if (up.ok() && up->found.kind == Found::Kind::kNode) {
      if (up->found.type != NodeType::kDirectory) return wrong(place, path, "Not a directory");
      *target = {join_path(up->view_path, rest), false, false};
      return {};
    }
  }
  *target = {join_path("/", rest), false, false};
  return {};
}

/// Is it a directory of the view alone, which may be given names when the view is built?
bool Builder::is_own(const Mount& mount) {
  return mount.type == "tmpfs" || mount.type == "scaffold";
}

/// Makes the directories below `above` that `rest` names, and a file as the last of them if asked.
Result<void> Builder::make_inside(const Walked& above, const std::string& rest, bool directory) {
  Caller anybody = self();
  anybody.umask = 022;
  std::string path = above.path;
  std::vector<std::string_view> parts = components(rest);
  for (size_t i = 0; i < parts.size(); ++i) {
    path = join_path(path, parts[i]);
    bool file = i + 1 == parts.size() && !directory;
    TRY(file ? above.fs_mutable().mknod(path, S_IFREG | 0644, 0, anybody)
             : above.fs_mutable().mkdir(path, 0755, anybody));
  }
  return {};
}

Result<void> Builder::scaffold(const std::string& at, bool directory) {
  WalkFlags flags;
  std::string top = at;
  while (true) {
    Result<Walked> up = walk(*view_, {}, parent_path(top), flags, self(), nullptr);
    if (up.ok() && up->found.kind == Found::Kind::kNode) {
      Result<Attr> attr = up->mount->fs->getattr(up->path);
      if (attr.ok() && is_own(*up->mount) && !up->fs().read_only()) {
        return make_inside(*up, std::string(below_of(at, parent_path(top))), directory);
      }
      if (attr.ok()) break;
    }
    if (top == "/") return Errno(ENOENT);
    top = parent_path(top);
  }
  TRY_ASSIGN(std::string dir, host_->scratch_dir("scaffold", true));
  std::string root = dir + "/root";
  std::string leaf = join_path(root, below_of(at, top));
  std::error_code error;
  std::filesystem::create_directories(directory ? leaf : parent_path(leaf), error);
  if (error) return Errno(error.value());
  if (!directory) {
    int fd = open(leaf.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return Errno::last();
    close(fd);
  }
  for (std::string here = directory ? leaf : parent_path(leaf); here.size() >= root.size();
       here = parent_path(here)) {
    chmod(here.c_str(), 0755);
  }
  auto mount = std::make_shared<Mount>();
  mount->at = top;
  mount->fs = std::make_shared<HostFs>(root, out_->cache);
  mount->type = "scaffold";
  mount->internal = true;
  mount->id = next_id_++;
  NodeType type = top == at && !directory ? NodeType::kRegular : NodeType::kDirectory;
  view_ = view_->with(mount, MountName{std::string(base_name(top)), false, type});
  return {};
}

/// What every program expects of a kernel, unless the profile says otherwise.
UserError Builder::add_kernel_dirs(const Place& place) {
  for (const char* dir : {"/proc", "/sys", "/dev"}) {
    Mount mount;
    mount.at = dir;
    mount.fs = std::make_shared<HostFs>(dir, out_->cache);
    mount.type = "bind";
    mount.source = dir;
    Target target;
    if (UserError error = canonical(dir, place, false, &target)) return error;
    if (UserError error = install(target, std::move(mount), place)) return error;
  }
  return {};
}

/// Of another root than the host's: what comes into it is from the view that it covers. An empty
/// one is filled by hand, an image is a system that lacks the kernel's directories.
UserError Builder::after_new_root(const MountSpec& spec, std::shared_ptr<const View> covered) {
  const bool stands_on_it =
      is_copy_on_write(spec.type) || spec.type == "merge" || spec.type == "bind";
  if (stands_on_it) return {};
  host_view_ = std::move(covered);
  return spec.type == "tmpfs" ? UserError{} : add_kernel_dirs(spec.place);
}

/// What a FUSE server mounts goes where the specification says, in its turn.
UserError Builder::start_server(const MountSpec& spec, MountRequest* request) {
  const std::string what = spec.type + " at " + spec.at;
  request->type = look_only_ ? "tmpfs" : "fuse";
  request->options.clear();
  if (look_only_) {
    const UserError error = FuseServer::check(spec);
    return error ? wrong(spec.place, what, error.text) : UserError{};
  }
  auto server = std::make_unique<FuseServer>();
  if (const UserError error = server->start(spec, spec_.env))
    return wrong(spec.place, what, error.text);
  request->connection = server->connection();
  request->options = server->options();
  out_->servers.push_back(std::move(server));
  return {};
}

/// The server has answered FUSE_INIT: it is there, and can be asked.
UserError Builder::meet_server(const MountSpec& spec, Mount* mount) {
  const std::string what = spec.type + " at " + spec.at;
  if (look_only_) return {};
  FuseServer& server = *out_->servers.back();
  auto* shared = dynamic_cast<SharedConnection*>(mount->fs.get());
  if (UniqueFd other = server.take_other(); other && shared != nullptr) {
    const Result<void> done = shared->share(std::move(other));
    if (!done.ok()) return wrong(spec.place, what, done.error().message());
  }
  if (!server.answers()) return wrong(spec.place, what, "the server doesn't answer");
  const Result<struct statfs> asked = mount->fs->statfs("");
  const int error = asked.ok() ? 0 : asked.error().value();
  if (error == ENOTCONN || error == ECONNABORTED || error == EPROTO || error == ETIMEDOUT)
    return wrong(spec.place, what, "the server: " + asked.error().message());
  mount->source = server.source();
  mount->options = server.shown_options();
  if (!server.options().contains("ro")) return {};
  Result<std::shared_ptr<FileSystem>> same = Mounts(host_, 0).bind(mount->fs, "", true);
  if (!same.ok()) return wrong(spec.place, what, same.error().message());
  mount->content = std::exchange(mount->fs, std::move(*same));
  return {};
}

UserError Builder::install(const Target& target, Mount mount, const Place& place) {
  mount.at = target.at;
  mount.id = next_id_++;
  std::optional<MountName> name;
  if (mount.type == "hide") {
    name = MountName{std::string(base_name(target.at)), true, NodeType::kDirectory};
  } else {
    Result<Attr> attr = mount.fs->getattr("");
    if (!attr.ok()) return wrong(place, target.at, attr.error().message());
    bool directory = S_ISDIR(attr->stx_mode);
    if (target.exists && directory != target.directory) {
      // As mount(2): a directory covers a directory, and what is none covers what is none.
      std::string covered = directory ? "a file can't be covered by a directory"
                                      : "a directory can't be covered by a file";
      return wrong(place, target.at, Errno(ENOTDIR).message() + ": " + covered);
    }
    if (!target.exists) {
      Result<void> made = scaffold(target.at, directory);
      if (!made.ok()) return wrong(place, target.at, made.error().message());
      name = MountName{std::string(base_name(target.at)), false, type_of_mode(attr->stx_mode)};
    }
  }
  auto made = std::make_shared<Mount>(std::move(mount));
  out_->made.push_back(made);
  view_ = view_->with(std::move(made), name);
  return {};
}

}  // namespace viewsh
