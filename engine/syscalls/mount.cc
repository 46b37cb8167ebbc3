#include <dirent.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>

#include "syscalls/borrow.h"
#include "syscalls/fuse_device.h"
#include "syscalls/handlers.h"
#include "syscalls/loop.h"
#include "syscalls/mount_table.h"
#include "syscalls/proc_view.h"
#include "vfs/view_fs.h"
#include "viewsh/served.h"

namespace viewsh {

namespace {

constexpr unsigned long kPropagation = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
/// Flags that say how access times and writes are kept. That is the host's to decide, or the file
/// system's: as with those of the kernel that know them not, they change nothing.
constexpr unsigned long kIgnored = MS_SYNCHRONOUS | MS_DIRSYNC | MS_NOATIME | MS_NODIRATIME |
                                   MS_RELATIME | MS_STRICTATIME | MS_LAZYTIME | MS_SILENT |
                                   MS_MANDLOCK;

Result<Walked> walk_to(Call& call, const UserPath& path, bool follow) {
  WalkFlags flags;
  flags.follow = follow;
  flags.want_exists = true;
  TRY_ASSIGN(Walked walked, call.walk({AT_FDCWD}, path, flags));
  if (walked.found.kind == Found::Kind::kMissing || walked.proc_magic) return Errno(ENOENT);
  return walked;
}

/// Changes of propagation: there is one mount table and no other to tell, so each mount is private
/// already, and none can be shared. do_change_type() of fs/namespace.c
Result<void> change_propagation(Call& call, const Walked& target, unsigned long flags) {
  const unsigned long type = flags & kPropagation;
  if ((flags & ~(kPropagation | MS_REC | MS_SILENT)) != 0) return Errno(EINVAL);
  if (type != MS_PRIVATE && type != MS_SLAVE) return Errno(EINVAL);
  return MountTable(call.session()).is_mount_point(target) ? Result<void>() : Errno(EINVAL);
}

/// "a=1,b" as the options of a mount.
std::map<std::string, std::string> options_of(const std::string& data) {
  std::map<std::string, std::string> out;
  std::istringstream words(data);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    if (!word.empty())
      out[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return out;
}

/// The file that a file system is in.
struct Image {
  std::string path;   ///< of the view
  std::string shown;  ///< in the mount table
  std::shared_ptr<const Mount> mount;
  std::map<std::string, std::string> options;
};

/// The file itself, or the one that a loop device was given.
Result<Image> find_image(Call& call, const UserPath& source) {
  TRY_ASSIGN(const Walked walked, walk_to(call, source, true));
  LoopDevice* loop = loop_at(walked.fs_mutable());
  if (loop == nullptr) return Image{walked.view_path, walked.view_path, walked.mount, {}};
  if (!loop->bound() || loop->bound()->ended) return Errno(ENXIO);
  const LoopDevice::Bound& bound = *loop->bound();
  Image out{bound.view_path, walked.view_path, bound.mount, {}};
  if (bound.offset != 0) out.options["offset"] = std::to_string(bound.offset);
  if (bound.limit != 0) out.options["sizelimit"] = std::to_string(bound.limit);
  if ((bound.flags & LO_FLAGS_READ_ONLY) != 0) out.options["ro"] = "";
  return out;
}

/// FUSE servers say a subtype: "fuse.sshfs". fuse_parse_param() of fs/fuse/inode.c
bool is_fuse(const std::string& type) {
  return type == "fuse" || type == "fuseblk" || type.starts_with("fuse.") ||
         type.starts_with("fuseblk.");
}

/// The server's end, `fd=N`; of the options stay those that are shown.
Result<UniqueFd> take_server(Call& call, std::map<std::string, std::string>* options) {
  const auto fd = options->find("fd");
  if (fd == options->end() || fd->second.empty()) return Errno(EINVAL);
  char* end = nullptr;
  const long number = strtol(fd->second.c_str(), &end, 10);
  if (*end != '\0' || number < 0 || number > INT_MAX) return Errno(EINVAL);
  TRY_ASSIGN(UniqueFd server, borrow_fd(call.task(), static_cast<int>(number)));
  options->erase(fd);
  return server;
}

std::string text_of(const std::map<std::string, std::string>& options) {
  std::string out;
  for (const auto& [key, value] : options) {
    if (!out.empty()) out += ',';
    out += value.empty() ? key : key + "=" + value;
  }
  return out;
}

/// What may be mounted where, in a view whose processes may only mount what its profile names.
/// `source`: empty where it isn't looked at. The options that were allowed are among `options`
/// then; `only`: there are no others.
Result<void> permit(Session& session, const std::string& type, const std::string& source,
                    const std::string& at, std::map<std::string, std::string>* options,
                    bool only = true) {
  if (session.mount_rights.all()) return {};
  const UserMount* meant = session.mount_rights.find(type, source, at);
  if (meant == nullptr) return Errno(EPERM);
  if (only) options->clear();
  for (const auto& [key, value] : meant->options) (*options)[key] = value;
  return {};
}

/// The mount goes to another view. True: this one has it as well, by the connection that the
/// request then has.
Result<bool> give_away(const FuseDevice::Taker& take, const std::string& source,
                       MountRequest* request) {
  TRY_ASSIGN(auto pair, make_fuse_pair());
  FuseConnection mounted{request->connection->get(), pair.first.get(), source, {}};
  mounted.options = text_of(request->options);
  TRY_ASSIGN(const bool shows, take(mounted));
  request->connection = std::make_shared<UniqueFd>(std::move(pair.second));
  return shows;
}

/// The kernel's side of a FUSE server. fs/fuse/inode.c
Result<void> mount_fuse(Call& call, const OptionalPath& source, const Walked& target,
                        const std::string& type, unsigned long flags, const std::string& data) {
  Session& session = call.session();
  Mount mount;
  MountRequest request;
  request.type = "fuse";
  request.at = target.view_path;
  request.options = options_of(data);
  TRY(permit(session, type, "", target.view_path, &request.options, false));
  if (request.options.contains("ro")) flags |= MS_RDONLY;
  FuseDevice* device = fuse_device_of(session);
  if (device == nullptr) return Errno(ENODEV);
  TRY_ASSIGN(const UniqueFd server, take_server(call, &request.options));
  TRY_ASSIGN(UniqueFd ours, device->take(server));
  request.connection = std::make_shared<UniqueFd>(std::move(ours));
  if ((flags & MS_RDONLY) != 0) request.options["ro"] = "";
  mount.source = source.null ? "none" : source.path.text;
  const FuseDevice::Taker take = device->taker();
  if (take) {
    TRY_ASSIGN(const bool shows, give_away(take, mount.source, &request));
    if (!shows) return {};
  }
  // "fuseblk" is told of by an option.
  const std::string block = type.substr(0, type.find('.'));
  if (block != request.type) request.options[block] = "";
  TRY_ASSIGN(mount.fs, session.mounter->make(request));
  request.options.erase(block);
  const std::shared_ptr<FileSystem> fs = mount.fs;
  // The connection of one that was given away isn't this mount's to end.
  if (!take) device->mounted(server, *fs);
  mount.type = type;
  request.options.erase("rootmode");
  mount.options = text_of(request.options);
  mount.flags = flags;
  const Result<void> added = MountTable(session).add(std::move(mount), target);
  if (added.ok()) return added;
  session.mounter->end(fs);
  fuse_ended(session, *fs);
  return added;
}

Result<void> mount_new(Call& call, const OptionalPath& source, const Walked& target,
                       const std::string& type, unsigned long flags, const std::string& data) {
  if (is_fuse(type)) return mount_fuse(call, source, target, type, flags, data);
  Session& session = call.session();
  const auto& types = session.mounter->types();
  const auto known = std::find_if(types.begin(), types.end(),
                                  [&](const Mounter::Type& one) { return one.name == type; });
  if (known == types.end()) return Errno(ENODEV);
  Mount mount;
  MountRequest request;
  request.type = type;
  request.at = target.view_path;
  request.options = options_of(data);
  request.below = std::make_shared<ViewFs>(session.view, "/");
  mount.options = data;
  if (!known->nodev) {
    if (source.null || source.path.text.empty()) return Errno(EINVAL);
    TRY_ASSIGN(const Image image, find_image(call, source.path));
    TRY(permit(session, type, image.path, target.view_path, &request.options));
    request.sources.push_back(image.path);
    request.options.insert(image.options.begin(), image.options.end());
    mount.source = image.shown;
    mount.source_in = image.mount->part_of;
    if (image.mount->part_of == 0 && image.mount->late) mount.source_in = image.mount->id;
    if ((flags & MS_RDONLY) != 0) request.options["ro"] = "";
  } else {
    TRY(permit(session, type, "", target.view_path, &request.options));
    mount.source = source.path.text;
  }
  if (!session.mount_rights.all()) mount.options = text_of(request.options);
  TRY_ASSIGN(mount.fs, session.mounter->make(request));
  const std::shared_ptr<FileSystem> fs = mount.fs;
  mount.type = type;
  mount.flags = flags;
  const Result<void> added = MountTable(session).add(std::move(mount), target);
  if (!added.ok()) session.mounter->end(fs);
  return added;
}

Result<std::string> read_options(Call& call, uint64_t data) {
  constexpr size_t kMost = 4096;
  if (data == 0) return std::string();
  return call.memory().read_string(data, kMost);
}

/// path_mount() of fs/namespace.c
Result<void> mount_at(Call& call, const OptionalPath& source, const Walked& target,
                      const OptionalPath& type, unsigned long flags, uint64_t data) {
  if ((flags & MS_NOUSER) != 0) return Errno(EINVAL);
  const bool makes_one = (flags & (MS_REMOUNT | MS_BIND | MS_MOVE | kPropagation)) == 0;
  if (!makes_one && !call.session().mount_rights.all()) return Errno(EPERM);
  MountTable table(call.session());
  if ((flags & (MS_REMOUNT | MS_BIND)) == (MS_REMOUNT | MS_BIND))
    return table.remount_bind(target, flags);
  if ((flags & MS_REMOUNT) != 0) {
    TRY_ASSIGN(const std::string options, read_options(call, data));
    return table.remount(target, flags, options);
  }
  if ((flags & (MS_BIND | MS_MOVE)) != 0) {
    if (source.null || source.path.text.empty()) return Errno(EINVAL);
  } else if ((flags & kPropagation) != 0) {
    return change_propagation(call, target, flags);
  }
  if ((flags & MS_BIND) != 0) {
    TRY_ASSIGN(const Walked from, walk_to(call, source.path, true));
    return table.bind(from, target, (flags & MS_REC) != 0);
  }
  if ((flags & MS_MOVE) != 0) {
    TRY_ASSIGN(const Walked from, walk_to(call, source.path, true));
    return table.move(from, target);
  }
  if ((flags & ~(kMountFlags | kIgnored)) != 0 || type.null) return Errno(EINVAL);
  TRY_ASSIGN(const std::string options, read_options(call, data));
  return mount_new(call, source, target, type.path.text, flags, options);
}

/// What the task reads of its mount table goes on with these lines, as a file of procfs does.
void add_to_open_tables(const Task& task, const std::string& lines) {
  const std::string dir = "/proc/" + std::to_string(task.tid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(dir.c_str()), closedir);
  while (const dirent* entry = open == nullptr ? nullptr : readdir(open.get())) {
    const int number = atoi(entry->d_name);
    const Result<UniqueFd> same = borrow_fd(task, number);
    if (entry->d_name[0] == '.' || !same.ok()) continue;
    // Of our own copy: the task may put another file there meanwhile.
    const std::string link = "/proc/self/fd/" + std::to_string(same->get());
    std::error_code none;
    const std::string text = std::filesystem::read_symlink(link, none).string();
    if (!text.starts_with("/memfd:viewsh:/proc/") || !text.ends_with("/mounts (deleted)")) continue;
    const UniqueFd table(::open(link.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC));
    // One that can't be is as it was when it was opened.
    if (table) (void)!::write(table.get(), lines.data(), lines.size());
  }
}

/// In a mount namespace of which nothing is seen outside. FsContext::own_mounts
Result<void> mount_apart(Call& call, const OptionalPath& source, const Walked& target,
                         unsigned long flags) {
  const bool binds = (flags & MS_BIND) != 0;
  if ((flags & (MS_REMOUNT | MS_MOVE)) != 0) return Errno(EPERM);
  if (!binds && (flags & kPropagation) != 0) return change_propagation(call, target, flags);
  if (!binds || source.null || target.view_path != "/") return Errno(EPERM);
  TRY_ASSIGN(const Walked from, walk_to(call, source.path, true));
  FsContext& fs = *call.task().fs;
  fs.bound = from.view_path;
  add_to_open_tables(call.task(), bound_mounts_text(call.view(), fs));
  return {};
}

}  // namespace

Outcome sys_mount(Call& call, OptionalPath source, UserPath target, OptionalPath type,
                  uint64_t flags, uint64_t data) {
  if ((flags & MS_MGC_MSK) == MS_MGC_VAL) flags &= ~static_cast<uint64_t>(MS_MGC_MSK);
  Result<Walked> walked = walk_to(call, target, true);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (call.session().mounter == nullptr) return Outcome::error(EPERM);
  if (call.task().fs->own_mounts) return Outcome::of(mount_apart(call, source, *walked, flags));
  return Outcome::of(mount_at(call, source, *walked, type, flags, data));
}

namespace {

/// do_umount() of fs/namespace.c: who waits for the server has to let go first; busy or not.
void abort_served(Session& session, const Walked& at) {
  if (!at.path.empty() || !at.mount->late || at.mount->at != at.view_path) return;
  const std::shared_ptr<FileSystem>& fs = at.mount->own_fs();
  auto* served = dynamic_cast<Served*>(fs.get());
  if (served == nullptr) return;
  served->abort();
  fuse_ended(session, *fs);
}

}  // namespace

Outcome sys_umount2(Call& call, UserPath target, Flags flags) {
  constexpr int kKnown = MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW;
  // MNT_EXPIRE would need a memory of who used what since.
  if ((flags & ~kKnown) != 0) return Outcome::error(EINVAL);
  Result<Walked> walked = walk_to(call, target, (flags & UMOUNT_NOFOLLOW) == 0);
  if (!walked.ok()) return Outcome::error(walked.error());
  Session& session = call.session();
  if (session.mounter == nullptr || call.task().fs->own_mounts ||
      !session.mount_rights.at(walked->view_path))
    return Outcome::error(EPERM);
  if ((flags & MNT_FORCE) != 0) abort_served(session, *walked);
  const auto before = session.late;
  const Result<void> done = MountTable(session).remove(*walked, (flags & MNT_DETACH) != 0);
  for (const auto& mount : before) release_loop(session, mount->source);
  return Outcome::of(done);
}

}  // namespace viewsh
