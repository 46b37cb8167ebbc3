#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "cow_fs.h"
#include "cow_host.h"
#include "viewsh/posix_acl.h"

namespace viewsh::viewfs {
namespace {

bool member(const Caller& caller, gid_t gid) {
  return caller.gid == gid ||
         std::find(caller.groups.begin(), caller.groups.end(), gid) != caller.groups.end();
}

bool only_now(const SetAttr& set) {
  return set.atime && set.mtime && set.atime->tv_nsec == UTIME_NOW &&
         set.mtime->tv_nsec == UTIME_NOW;
}

}  // namespace

/// chmod(2), chown(2), utimensat(2), truncate(2): who may.
Result<void> CowFs::may_set(const Place& place, const Attr& attr, const SetAttr& set,
                            const Caller& caller) {
  if (set.size) {
    if (place.is_dir()) return Errno(EISDIR);
    if (place.type != NodeType::kRegular) return Errno(EINVAL);
    TRY(may_access(place, W_OK, caller));
  }
  if (caller.root() || (minimal_ && !made_here(place))) return {};
  const bool owner = attr.stx_uid == caller.uid;
  if (set.mode && !owner) return Errno(EPERM);
  if (set.uid && *set.uid != static_cast<uid_t>(-1)) {
    if (!owner || *set.uid != attr.stx_uid) return Errno(EPERM);
  }
  if (set.gid && *set.gid != static_cast<gid_t>(-1)) {
    if (!owner || (*set.gid != attr.stx_gid && !member(caller, *set.gid))) return Errno(EPERM);
  }
  if ((set.atime || set.mtime) && !owner) {
    if (!only_now(set)) return Errno(EPERM);
    TRY(may_access(place, W_OK, caller));
  }
  return {};
}

Result<void> CowFs::change_attr_ref(const Place& place, const SetAttr& set) {
  // A FIFO, socket or device of the lower: only what is recorded can change.
  TRY_ASSIGN(const Attr attr, attr_of(place));
  TRY(ensure_upper_dir(parent_of(place.path)));
  TRY_ASSIGN(Meta meta, ref_meta(place));
  meta.mode = (set.mode ? *set.mode : attr.stx_mode) & 07777;
  meta.uid = set.uid && *set.uid != static_cast<uid_t>(-1) ? *set.uid : attr.stx_uid;
  meta.gid = set.gid && *set.gid != static_cast<gid_t>(-1) ? *set.gid : attr.stx_gid;
  meta.changed = true;
  Transaction t;
  t.records.push_back(Record::node(place.path, std::move(meta)));
  return change(t, nullptr);
}

Result<void> CowFs::set_dir_mode(const Place& place, mode_t mode) {
  const PathAt at(layer_->upper_fd(), place.path.empty() ? "." : place.path);
  const bool recorded = place.node->meta && place.node->meta->mode;
  if (recorded || (mode & S_IRWXU) != S_IRWXU || place.node->merged()) {
    TRY_ASSIGN(const Attr attr, attr_of(place));
    Meta meta = place.node->meta ? *place.node->meta : Meta();
    meta.type = NodeType::kDirectory;
    meta.mode = mode & 07777;
    meta.uid = attr.stx_uid;
    meta.gid = attr.stx_gid;
    meta.changed = true;
    if (meta.upper_ino == 0) {
      TRY_ASSIGN(const Attr native, lstat_at(layer_->upper_fd(), place.path));
      meta.upper_ino = native.stx_ino;
    }
    Transaction t;
    t.records.push_back(Record::node(place.path, std::move(meta)));
    TRY(change(t, nullptr));
    place.node->may_change = -1;
  }
  return from_libc(fchmodat(at.dir(), at.name(), (mode & 07777) | S_IRWXU, 0));
}

/// `lent`: the copy stays open to whoever the mode shuts out.
Result<void> CowFs::set_file_mode(const Place& place, mode_t mode, bool lent) {
  const mode_t held = (mode & 07777) | (lent ? S_IRUSR | S_IWUSR : 0);
  const PathAt at(layer_->upper_fd(), place.path);
  TRY(from_libc(fchmodat(at.dir(), at.name(), held, 0)));
  const bool recorded = place.node->meta && place.node->meta->mode;
  if (!recorded && held == (mode & 07777)) return {};
  TRY_ASSIGN(const Attr attr, attr_of(place));
  Meta meta = *place.node->meta;
  meta.mode = mode & 07777;
  meta.uid = attr.stx_uid;
  meta.gid = attr.stx_gid;
  meta.changed = true;
  Transaction t;
  t.records.push_back(Record::node(place.path, std::move(meta)));
  return change(t, nullptr);
}

Result<void> CowFs::change_attr_upper(Place place, const SetAttr& set) {
  const PathAt at(layer_->upper_fd(), place.path.empty() ? "." : place.path);
  if (set.size) {
    TRY(snapshots_.unshare(at.dir(), at.name()));
    UniqueFd file(openat(at.dir(), at.name(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) return Errno::last();
    TRY(from_libc(ftruncate(file.get(), static_cast<off_t>(*set.size))));
  }
  const bool lent = minimal_ && !made_here(place);
  if (lent && (set.uid || set.gid)) {
    TRY(record_owner(place, set));
  } else if (set.uid || set.gid) {
    // An owner that the host would not take is recorded already; setting it again is no change.
    const bool recorded = place.node->meta && place.node->meta->uid;
    const uid_t uid = set.uid && !recorded ? *set.uid : static_cast<uid_t>(-1);
    const gid_t gid = set.gid ? *set.gid : static_cast<gid_t>(-1);
    const int rc = fchownat(at.dir(), at.name(), uid, gid, AT_SYMLINK_NOFOLLOW);
    if (rc < 0 && !recorded) return Errno::last();
    if (recorded && set.gid && *set.gid != static_cast<gid_t>(-1)) {
      Meta meta = *place.node->meta;
      meta.gid = *set.gid;
      Transaction t;
      t.records.push_back(Record::node(place.path, std::move(meta)));
      TRY(change(t, nullptr));
    }
    if (place.is_dir()) TRY(record_dir(place, false));
  }
  if (set.mode) {
    if (place.type == NodeType::kSymlink) return Errno(EOPNOTSUPP);
    TRY(place.is_dir() ? set_dir_mode(place, *set.mode) : set_file_mode(place, *set.mode, lent));
  }
  if (set.atime || set.mtime) {
    const timespec omit{.tv_sec = 0, .tv_nsec = UTIME_OMIT};
    const timespec times[2] = {set.atime.value_or(omit), set.mtime.value_or(omit)};
    TRY(from_libc(utimensat(at.dir(), at.name(), times, AT_SYMLINK_NOFOLLOW)));
    // Later times of the lower's aren't shown in place of one that was set.
    if (minimal_ && place.is_dir()) TRY(record_dir(place, false));
  }
  return {};
}

Result<void> CowFs::setattr(const std::string& path, const SetAttr& set, const Caller& caller) {
  TRY_ASSIGN(Place place, look_existing(path));
  TRY_ASSIGN(const Attr attr, attr_of(place));
  if (set.mode && place.type == NodeType::kSymlink && minimal_) return Errno(EOPNOTSUPP);
  const auto below = [&](FileSystem& lower) { return lower.setattr(path, set, caller); };
  if (auto done = attr_in_lower(place, caller, below, [] {})) return *done;
  TRY(may_set(place, attr, set, caller));
  if (set.mode && place.type == NodeType::kSymlink) return Errno(EOPNOTSUPP);
  if (place.what != Place::What::kUpper && !place.is_dir() && place.type != NodeType::kRegular &&
      place.type != NodeType::kSymlink) {
    if (!set.mode && !set.uid && !set.gid) return Errno(EPERM);
    return change_attr_ref(place, set);
  }
  TRY(copy_up(&place, !(set.size && *set.size == 0)));
  acls_.clear();  // chmod(2) changes them, too, for all names of the inode
  return change_attr_upper(std::move(place), set);
}

/// xattr(7): user attributes are the content's, of the others (ACLs) the owner decides.
Result<void> CowFs::may_set_xattr(const Place& place, const std::string& name,
                                  const Caller& caller) {
  const bool lent = minimal_ && !made_here(place);
  if (name.rfind("user.", 0) == 0) {
    if (!place.is_dir() && place.type != NodeType::kRegular) return Errno(EPERM);
    return may_access(place, W_OK, caller);
  }
  if (lent) return name.rfind("system.posix_acl_", 0) == 0 ? Errno() : Errno(EPERM);
  TRY_ASSIGN(const Attr attr, attr_of(place));
  if (!caller.root() && attr.stx_uid != caller.uid) return Errno(EPERM);
  return {};
}

/// A merged directory has attributes of its own from now on. `mode`: that of its container is the
/// one to be shown (an ACL set it).
Result<void> CowFs::record_dir(const Place& place, bool mode) {
  const Meta* old = place.node->meta.get();
  TRY_ASSIGN(const Attr native, lstat_at(layer_->upper_fd(), place.path));
  const bool locked = mode && (native.stx_mode & S_IRWXU) != S_IRWXU;
  const bool shown = mode && (locked || (old != nullptr && old->mode));
  if (!shown && (!place.node->merged() || old->changed)) return {};
  Meta meta = old != nullptr ? *old : Meta();
  meta.type = NodeType::kDirectory;
  meta.upper_ino = native.stx_ino;
  meta.changed = true;
  if (shown) {
    TRY_ASSIGN(const Attr attr, attr_of(place));
    meta.mode = native.stx_mode & 07777;
    meta.uid = attr.stx_uid;
    meta.gid = attr.stx_gid;
  }
  Transaction t;
  t.records.push_back(Record::node(place.path, std::move(meta)));
  TRY(change(t, nullptr));
  place.node->may_change = -1;
  if (!locked) return {};
  const PathAt at(layer_->upper_fd(), place.path.empty() ? "." : place.path);
  return from_libc(fchmodat(at.dir(), at.name(), (native.stx_mode & 07777) | S_IRWXU, 0));
}

Result<void> CowFs::setxattr(const std::string& path, const std::string& name,
                             std::string_view value, int flags, const Caller& caller) {
  TRY_ASSIGN(Place place, look_existing(path));
  const auto below = [&](FileSystem& lower) {
    return lower.setxattr(path, name, value, flags, caller);
  };
  const auto container = [&] {
    (void)lsetxattr(LongPath(upper_host(path)).c_str(), name.c_str(), value.data(), value.size(),
                    0);
  };
  if (auto done = attr_in_lower(place, caller, below, container)) return *done;
  TRY(may_set_xattr(place, name, caller));
  TRY(copy_up(&place, true));
  acls_.clear();
  const LongPath host(layer_->upper_fd(), path);
  // The descriptor in /proc is itself a link.
  const auto set = path.empty() ? ::setxattr : ::lsetxattr;
  TRY(from_libc(set(host.c_str(), name.c_str(), value.data(), value.size(), flags)));
  return place.is_dir() ? record_dir(place, name == kAccessAcl) : Result<void>();
}

Result<void> CowFs::removexattr(const std::string& path, const std::string& name,
                                const Caller& caller) {
  TRY_ASSIGN(Place place, look_existing(path));
  const auto below = [&](FileSystem& lower) { return lower.removexattr(path, name, caller); };
  const auto container = [&] {
    (void)lremovexattr(LongPath(upper_host(path)).c_str(), name.c_str());
  };
  if (auto done = attr_in_lower(place, caller, below, container)) return *done;
  TRY(may_set_xattr(place, name, caller));
  TRY(copy_up(&place, true));
  acls_.clear();
  const LongPath host(layer_->upper_fd(), path);
  const auto remove = path.empty() ? ::removexattr : ::lremovexattr;
  TRY(from_libc(remove(host.c_str(), name.c_str())));
  return place.is_dir() ? record_dir(place, name == kAccessAcl) : Result<void>();
}

}  // namespace viewsh::viewfs
