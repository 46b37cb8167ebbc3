#include "view_builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "base/path.h"
#include "syscalls/table.h"
#include "vfs/device_fs.h"
#include "vfs/host_mounts.h"
#include "vfs/view_fs.h"
#include "vfs/walk.h"

namespace viewsh {

namespace {

class Builder {
 public:
  Builder(const ViewSpec& spec, PluginHost* host, BuiltView* out, bool look_only)
      : spec_(spec), host_(host), out_(out), look_only_(look_only) {}
  UserError build();

 private:
  struct Target {
    std::string at;
    bool exists = false;
    bool directory = false;  ///< if it exists
    std::string host = "";   ///< what backs it; empty: nothing of the host's
  };
  UserError add_root();
  UserError hide_own_state();
  UserError pass_kernel_mounts(const std::string& at, const View& below);
  UserError add_mount(const MountSpec& spec);
  UserError add_symlink(const MountSpec& spec);
  UserError find_real(const MountSpec& spec, const std::string& at,
                      const std::shared_ptr<FileSystem>& below, std::vector<Mount>* real);
  UserError put_back(std::vector<Mount> real, const MountSpec& spec);
  UserError check_target(const MountSpec& spec, const Target& target);
  UserError add_device(const DeviceSpec& spec);
  UserError add_binfmt(const BinfmtSpec& spec);
  UserError add_plugin(const PluginSpec& spec);
  UserError canonical(const std::string& path, const Place& place, bool must_exist, Target* target);
  UserError install(const Target& target, Mount mount, const Place& place);
  Result<void> scaffold(const std::string& at, bool directory);
  static Result<void> make_inside(const Walked& above, const std::string& rest, bool directory);
  std::shared_ptr<FileSystem> below() const;
  UserError wrong(const Place& place, const std::string& what, const std::string& why) const {
    std::string text = place.text.empty() ? "" : place.text + ": ";
    return {text + what + ": " + why};
  }
  static const Caller& self();

  const ViewSpec& spec_;
  PluginHost* host_;
  BuiltView* out_;
  bool look_only_;
  std::shared_ptr<const View> view_;
  /// Where sources are looked for, if not in the view so far: set where the view's root is another
  /// directory, or an empty one.
  std::shared_ptr<const View> host_view_;
  int next_id_ = 1;
};

const Caller& Builder::self() {
  static const Caller caller{geteuid(), getegid(), {}, 022};
  return caller;
}

std::shared_ptr<FileSystem> Builder::below() const {
  if (view_->mounts().size() == 1) return view_->mounts()[0]->fs;
  return std::make_shared<ViewFs>(view_, "/");
}

UserError Builder::add_root() {
  auto root = std::make_shared<Mount>();
  root->at = "/";
  root->fs = std::make_shared<HostFs>("/", out_->cache);
  root->type = "host";
  root->id = next_id_++;
  view_ = std::make_shared<View>(root);
  if (spec_.root == "/" || spec_.root.empty()) return {};
  struct stat st {};
  char real[PATH_MAX];
  if (realpath(spec_.root.c_str(), real) == nullptr || stat(real, &st) < 0) {
    return wrong(spec_.root_place, "root " + spec_.root, Errno::last().message());
  }
  if (!S_ISDIR(st.st_mode)) return wrong(spec_.root_place, "root " + spec_.root, "not a directory");
  auto other = std::make_shared<Mount>();
  other->at = "/";
  other->fs = std::make_shared<HostFs>(real, out_->cache);
  other->type = "bind";
  other->source = real;
  other->id = next_id_++;
  host_view_ = view_;
  view_ = std::make_shared<View>(other);
  // What every program expects of a kernel, unless the profile says otherwise.
  for (const char* dir : {"/proc", "/sys", "/dev"}) {
    Mount mount;
    mount.at = dir;
    mount.fs = std::make_shared<HostFs>(dir, out_->cache);
    mount.type = "bind";
    mount.source = dir;
    Target target;
    if (UserError error = canonical(dir, spec_.root_place, false, &target)) return error;
    if (UserError error = install(target, std::move(mount), spec_.root_place)) return error;
  }
  return {};
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
bool is_own(const Mount& mount) { return mount.type == "tmpfs" || mount.type == "scaffold"; }

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

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ":") + part;
  return out;
}

/// File systems that are the kernel's own words: writing to a copy of them would tell nobody.
bool is_kernel_type(const std::string& type) {
  static const std::set<std::string> kTypes{"proc",       "sysfs",     "devpts",   "cgroup",
                                            "cgroup2",    "mqueue",    "debugfs",  "tracefs",
                                            "securityfs", "bpf",       "configfs", "efivarfs",
                                            "pstore",     "selinuxfs", "fusectl",  "binfmt_misc"};
  return kTypes.contains(type);
}

/// The type of a file system that is the kernel's own words, where `host` lies on one.
std::string kernel_type_at(const std::string& host) {
  std::string type;
  size_t deepest = 0;  // of two at one place, the later one covers the other
  for (const HostMount& mount : read_host_mounts()) {
    if (mount.at.size() < deepest || !is_at_or_below(host, mount.at)) continue;
    deepest = mount.at.size();
    type = mount.type;
  }
  return is_kernel_type(type) ? type : "";
}

/// What can be asked for, but would do nothing.
UserError Builder::check_target(const MountSpec& spec, const Target& target) {
  bool copies = is_copy_on_write(spec.type);
  bool needed = copies || (spec.type == "hide" && spec.must_exist);
  if (needed && !target.exists) return wrong(spec.place, spec.at, Errno(ENOENT).message());
  if (!copies) return {};
  if (!target.directory) return wrong(spec.place, spec.at, Errno(ENOTDIR).message());
  std::string type = kernel_type_at(target.host);
  if (type.empty()) return {};
  return wrong(
      spec.place, spec.at,
      "can't be copied on write: " + type + " is the kernel's own, and always the real one");
}

/// A symbolic link of the view: not a mount, but a name in a directory that is the view's alone.
UserError Builder::add_symlink(const MountSpec& spec) {
  Target dir;
  std::string name(base_name(spec.at));
  if (spec.sources.size() != 1)
    return wrong(spec.place, spec.at, "where does the symbolic link lead to?");
  if (name.empty() || name == "/") return wrong(spec.place, spec.at, Errno(EEXIST).message());
  if (UserError error = canonical(parent_path(spec.at), spec.place, false, &dir)) return error;
  if (!dir.exists) {
    Result<void> made = scaffold(dir.at, true);
    if (!made.ok()) return wrong(spec.place, spec.at, made.error().message());
  }
  Result<Walked> walked = walk(*view_, {}, dir.at, {}, self(), nullptr);
  if (!walked.ok()) return wrong(spec.place, spec.at, walked.error().message());
  if (!is_own(*walked->mount)) {
    return wrong(spec.place, spec.at, "a symbolic link has to lie in a tmpfs of the view");
  }
  Result<void> made =
      walked->fs_mutable().symlink(join_path(walked->path, name), spec.sources[0], self());
  out_->cache->clear();
  return made.ok() ? UserError{} : wrong(spec.place, spec.at, made.error().message());
}

/// As /proc/mounts shows them.
std::string option_text(const MountSpec& spec) {
  std::string out;
  for (const auto& [key, value] : spec.options) {
    out += (out.empty() ? "" : ",") + key + (value.empty() ? "" : "=" + value);
  }
  for (const ExceptSpec& except : spec.except) {
    out += (out.empty() ? "except=" : ",except=") + except.path;
  }
  return out;
}

/// What a copy-on-write mount at `at` is to leave as it is, looked for before it is there.
UserError Builder::find_real(const MountSpec& spec, const std::string& at,
                             const std::shared_ptr<FileSystem>& below, std::vector<Mount>* real) {
  for (const ExceptSpec& except : spec.except) {
    const Place place{except.place.text + ": except"};
    Target target;
    if (UserError error = canonical(except.path, place, true, &target)) return error;
    if (target.at == at || !is_at_or_below(target.at, at)) {
      return wrong(place, except.path, "leads to " + target.at + ", which is not below " + at);
    }
    Result<std::shared_ptr<FileSystem>> fs = below->subtree(target.at.substr(1));
    if (!fs.ok()) return wrong(place, except.path, fs.error().message());
    Mount mount;
    mount.at = target.at;
    mount.fs = std::move(*fs);
    mount.type = "bind";
    mount.source = target.at;
    real->push_back(std::move(mount));
  }
  return {};
}

UserError Builder::put_back(std::vector<Mount> real, const MountSpec& spec) {
  for (Mount& mount : real) {
    Result<Attr> root = mount.fs->getattr("");
    bool directory = root.ok() && S_ISDIR(root->stx_mode);
    Target target{mount.at, true, directory};
    if (UserError error = install(target, std::move(mount), spec.place)) return error;
  }
  return {};
}

UserError Builder::add_mount(const MountSpec& spec) {
  if (spec.type == "symlink") return add_symlink(spec);
  Plugin* plugin = host_->provider("fs:" + spec.type);
  if (plugin == nullptr) {
    return wrong(spec.place, spec.type, "no plugin for this type of mount");
  }
  Target target;
  if (UserError error = canonical(spec.at, spec.place, false, &target)) return error;
  if (UserError error = check_target(spec, target)) return error;
  MountRequest request;
  request.type = spec.type;
  request.at = target.at;
  request.options = spec.options;
  request.layer = spec.layer;
  request.layers_below = spec.layers_below;
  request.below = below();
  request.look_only = look_only_;
  // In a foreign root, what is bound in comes from the host; else from the view as it is so far.
  std::shared_ptr<const View> present = view_;
  if (host_view_ && !spec.sources.empty()) {
    view_ = host_view_;
    request.below = below();
  }
  for (const std::string& source : spec.sources) {
    Target found;
    UserError error = canonical(source, spec.place, true, &found);
    if (error) return error;
    request.sources.push_back(found.at);
  }
  view_ = present;
  MountError failed;
  std::shared_ptr<FileSystem> fs = plugin->mount(request, &failed);
  if (!fs) return wrong(spec.place, spec.type + " at " + spec.at, failed.text);
  Mount mount;
  mount.fs = std::move(fs);
  mount.type = spec.type;
  mount.source = spec.sources.empty() ? spec.type : joined(spec.sources);
  mount.layers = spec.layers_below;
  if (!spec.layer.empty()) mount.layers.push_back(spec.layer);
  mount.options = option_text(spec);
  std::vector<Mount> real;
  if (UserError error = find_real(spec, target.at, request.below, &real)) return error;
  std::shared_ptr<const View> covered = view_;
  if (UserError error = install(target, std::move(mount), spec.place)) return error;
  // Nothing can be bound from an empty root: what comes into it is from the view that it covers.
  if (spec.type == "tmpfs" && target.at == "/") host_view_ = covered;
  if (!is_copy_on_write(spec.type)) return {};
  if (UserError error = pass_kernel_mounts(target.at, *covered)) return error;
  return put_back(std::move(real), spec);
}

UserError Builder::add_device(const DeviceSpec& spec) {
  Plugin* plugin = host_->provider("device:" + spec.request.type);
  if (plugin == nullptr) {
    return wrong(spec.place, spec.request.type, "no plugin for this type of device");
  }
  Target target;
  if (UserError error = canonical(spec.request.path, spec.place, false, &target)) return error;
  MountError failed;
  std::unique_ptr<Device> device = plugin->open_device(spec.request, &failed);
  if (!device) return wrong(spec.place, spec.request.path, failed.text);
  Mount mount;
  mount.fs = std::make_shared<DeviceFs>(std::move(device));
  mount.type = "device";
  mount.source = spec.request.type;
  return install(target, std::move(mount), spec.place);
}

UserError Builder::add_binfmt(const BinfmtSpec& spec) {
  std::string word = spec.format.extension.empty() ? "exec:magic" : "exec:extension";
  Plugin* plugin = host_->provider(word);
  ExecFormats* formats = plugin == nullptr ? nullptr : plugin->exec_formats();
  if (formats == nullptr)
    return wrong(spec.place, "binfmt " + spec.format.name, "no plugin for it");
  std::string refused = formats->add(spec.format);
  if (!refused.empty()) return wrong(spec.place, "binfmt " + spec.format.name, refused);
  if (out_->exec_formats.empty() || out_->exec_formats.back() != formats) {
    out_->exec_formats.push_back(formats);
  }
  return {};
}

UserError Builder::add_plugin(const PluginSpec& spec) {
  UserError error;
  host_->load(spec, &error);
  return error;
}

/// A cow leaves the kernel's own file systems below it as they are.
UserError Builder::pass_kernel_mounts(const std::string& at, const View& below) {
  std::string covered;  // mountinfo lists parents first
  for (const HostMount& mount : read_host_mounts()) {
    if (!is_kernel_type(mount.type)) continue;
    std::optional<std::string> seen = below.reverse(mount.at);
    if (!seen || !is_at_or_below(*seen, at)) continue;
    if (!covered.empty() && is_at_or_below(*seen, covered)) continue;
    Location here = below.locate(*seen);
    Result<std::shared_ptr<FileSystem>> fs = here.mount->fs->subtree(here.path);
    if (!fs.ok()) continue;  // what can't be seen below can't be shown here either
    covered = *seen;
    Mount pass;
    pass.fs = *fs;
    pass.type = mount.type;
    pass.internal = true;
    Result<Attr> root = pass.fs->getattr("");
    bool directory = root.ok() && S_ISDIR(root->stx_mode);
    if (UserError error = install({*seen, true, directory}, std::move(pass), {})) return error;
  }
  return {};
}

/// Where copies are kept lies itself in what is copied: a view doesn't show it.
UserError Builder::hide_own_state() {
  std::vector<std::string> places{host_->state_dir() + "/views"};
  bool keeps = false;
  for (const auto& mount : out_->made) {
    keeps = keeps || is_copy_on_write(mount->type);
    for (const std::string& layer : mount->layers) {
      places.push_back(host_->state_dir() + "/layers/" + layer);
    }
  }
  if (!keeps) places.clear();
  // It is in a directory that everybody looks at, such as /dev/shm.
  if (view_->mounts().size() > 1) {
    Result<std::string> memory = host_->memory_dir();
    if (memory.ok()) places.push_back(*memory);
  }
  Plugin* plugin = host_->provider("fs:hide");
  if (plugin == nullptr) return {};
  for (const std::string& place : places) {
    std::optional<std::string> seen = view_->reverse(place);
    struct stat st {};
    if (!seen || lstat(place.c_str(), &st) < 0) continue;
    MountRequest request;
    request.type = "hide";
    request.at = *seen;
    request.below = below();
    MountError failed;
    Mount mount;
    mount.fs = plugin->mount(request, &failed);
    if (!mount.fs) return {failed.text};
    mount.type = "hide";
    mount.internal = true;
    if (UserError error = install({*seen, true, true}, std::move(mount), {})) return error;
  }
  return {};
}

UserError Builder::build() {
  out_->cache = std::make_shared<PathCache>();
  out_->cache->tick();
  for (const PluginSpec& plugin : spec_.plugins) {
    if (UserError error = add_plugin(plugin)) return error;
  }
  if (UserError error = add_root()) return error;
  for (const MountSpec& mount : spec_.mounts) {
    if (UserError error = add_mount(mount)) return error;
  }
  for (const DeviceSpec& device : spec_.devices) {
    if (UserError error = add_device(device)) return error;
  }
  for (const BinfmtSpec& format : spec_.binfmt) {
    if (UserError error = add_binfmt(format)) return error;
  }
  if (UserError error = hide_own_state()) return error;
  out_->view = view_;
  Result<Walked> proc = walk(*view_, {}, "/proc", {}, self(), nullptr);
  out_->host_proc = proc.ok() && proc->found.host == "/proc";
  bool plain = view_->mounts().size() == 1 && view_->mounts()[0]->type == "host";
  if (!plain || !out_->exec_formats.empty()) out_->traps |= static_cast<unsigned>(Trap::kPaths);
  for (const auto& mount : view_->mounts()) {
    if (mount->type == "hide") continue;  // has no nodes
    bool own_nodes = !mount->fs->transparent() || mount->fs->read_only();
    if (own_nodes) out_->traps |= static_cast<unsigned>(Trap::kObjects);
    if (mount->fs->quota()) out_->traps |= static_cast<unsigned>(Trap::kQuota);
    if (mount->fs->keeps()) out_->traps |= static_cast<unsigned>(Trap::kKept);
    if (mount->type == "device") out_->traps |= static_cast<unsigned>(Trap::kDevices);
    if (mount->type == "tmpfs") out_->traps |= static_cast<unsigned>(Trap::kObjects);
  }
  return {};
}

}  // namespace

UserError build_view(const ViewSpec& spec, PluginHost* host, BuiltView* out, bool look_only) {
  return Builder(spec, host, out, look_only).build();
}

}  // namespace viewsh
