#include <unistd.h>

#include "syscalls/attr.h"
#include "syscalls/handlers.h"

namespace viewsh {

namespace {

Outcome set_on(Call& call, const Walked& walked, const SetAttr& set) {
  if (walked.fs().read_only()) {
    // vfs_truncate() of fs/open.c: the type first.
    Result<Attr> attr = set.size ? walked.fs_mutable().getattr(walked.path) : Errno(EROFS);
    if (attr.ok() && S_ISDIR(attr->stx_mode)) return Outcome::error(EISDIR);
    if (attr.ok() && !S_ISREG(attr->stx_mode)) return Outcome::error(EINVAL);
    return Outcome::error(EROFS);
  }
  return Outcome::of(walked.fs_mutable().setattr(walked.path, set, call.caller()));
}

/// The descriptor's own object is changed; where the kernel refuses that, the file system may know
/// better.
Outcome set_in_place(Call& call, const Walked& walked, const SetAttr& set) {
  Outcome out = Outcome::as_is();
  if (walked.native() || !walked.fs().copies_refused()) return out;
  out.then(
      [mount = walked.mount, path = walked.path, set, caller = call.caller()](long result) -> long {
        if (result != -EACCES && result != -EPERM && result != -EROFS) return result;
        Result<void> done = mount->fs->setattr(path, set, caller);
        return done.ok() ? 0 : -done.error().value();
      });
  return out;
}

/// A change of attributes by path, natively where the host's node is the view's.
Outcome set_path(Call& call, DirFd dir, const UserPath& path, bool follow, const SetAttr& set) {
  WalkFlags flags;
  flags.follow = follow;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->proc_magic && !call.changeable(walked->found.host)) return Outcome::error(EROFS);
  if (walked->native() || walked->proc_magic) return call.run_on(*walked, path);
  return set_on(call, *walked, set);
}

/// What a descriptor is named for: fchmod(2) and its kin refuse one of O_PATH (EBADF), a call with
/// AT_EMPTY_PATH takes its object.
enum class Named { kItself, kByEmptyPath };

/// The same through a descriptor: natively unless it is open on something that must not change.
Outcome set_fd(Call& call, int fd, const SetAttr& set, Named named = Named::kItself) {
  bool path_only = call.is_path_only(fd);
  if (path_only && named == Named::kItself) return Outcome::as_is();
  Result<Walked> walked = call.walk_fd(fd, true);
  if (!Call::shown(walked)) return call.unshown(fd);
  bool in_place =
      walked->found.in_place && !walked->found.attr_virtual && call.is_open_on(fd, *walked);
  if (walked->native() || in_place) return set_in_place(call, *walked, set);
  if (set.mode && path_only && walked->found.type == NodeType::kSymlink)
    return Outcome::error(EOPNOTSUPP);
  return set_on(call, *walked, set);
}

/// With AT_EMPTY_PATH the working directory itself may be meant.
void here_for_empty(DirFd dir, int flags, UserPath* path) {
  bool empty = path->text.empty() && (flags & AT_EMPTY_PATH) != 0;
  if (empty && dir.value == AT_FDCWD) path->text = ".";
}

SetAttr owner_from(uid_t uid, gid_t gid) {
  SetAttr set;
  if (uid != static_cast<uid_t>(-1)) set.uid = uid;
  if (gid != static_cast<gid_t>(-1)) set.gid = gid;
  return set;
}

Outcome chown_at(Call& call, DirFd dir, const UserPath& path, bool follow, uid_t uid, gid_t gid) {
  return set_path(call, dir, path, follow, owner_from(uid, gid));
}

Result<SetAttr> times_from(Call& call, uint64_t address) {
  SetAttr set;
  timespec now{0, UTIME_NOW};
  if (address == 0) {
    set.atime = now;
    set.mtime = now;
    return set;
  }
  timespec times[2];
  TRY(call.memory().read(address, times, sizeof times));
  for (const timespec& time : times) {
    bool special = time.tv_nsec == UTIME_NOW || time.tv_nsec == UTIME_OMIT;
    if (!special && (time.tv_nsec < 0 || time.tv_nsec > 999'999'999)) return Errno(EINVAL);
  }
  if (times[0].tv_nsec != UTIME_OMIT) set.atime = times[0];
  if (times[1].tv_nsec != UTIME_OMIT) set.mtime = times[1];
  return set;
}

Result<SetAttr> times_from_timeval(Call& call, uint64_t address) {
  if (address == 0) return times_from(call, 0);
  timeval times[2];
  TRY(call.memory().read(address, times, sizeof times));
  for (const timeval& time : times) {
    if (time.tv_usec < 0 || time.tv_usec > 999'999) return Errno(EINVAL);
  }
  SetAttr set;
  set.atime = timespec{times[0].tv_sec, times[0].tv_usec * 1000};
  set.mtime = timespec{times[1].tv_sec, times[1].tv_usec * 1000};
  return set;
}

Outcome utimes_at(Call& call, DirFd dir, const OptionalPath& path, bool follow,
                  const Result<SetAttr>& set, Named named = Named::kItself) {
  if (!set.ok()) return Outcome::error(set.error());
  if (!set->atime && !set->mtime) return Outcome::result(0);
  if (path.null) return set_fd(call, dir.value, *set, named);
  return set_path(call, dir, path.path, follow, *set);
}

}  // namespace

Outcome sys_chmod(Call& call, UserPath path, Mode mode) {
  return sys_fchmodat(call, {AT_FDCWD}, std::move(path), mode);
}

Outcome sys_fchmodat(Call& call, DirFd dir, UserPath path, Mode mode) {
  SetAttr set;
  set.mode = mode & 07777;
  return set_path(call, dir, path, true, set);
}

Outcome sys_fchmodat2(Call& call, DirFd dir, UserPath path, Mode mode, Flags flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Outcome::error(EINVAL);
  SetAttr set;
  set.mode = mode & 07777;
  here_for_empty(dir, flags, &path);
  if (path.text.empty() && (flags & AT_EMPTY_PATH) != 0)
    return set_fd(call, dir.value, set, Named::kByEmptyPath);
  bool follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  if (!follow) {
    WalkFlags how;
    how.follow = false;
    how.want_exists = true;
    Result<Walked> walked = call.walk(dir, path, how);
    if (walked.ok() && walked->found.type == NodeType::kSymlink) return Outcome::error(EOPNOTSUPP);
  }
  return set_path(call, dir, path, follow, set);
}

Outcome sys_fchmod(Call& call, Fd fd, Mode mode) {
  SetAttr set;
  set.mode = mode & 07777;
  return set_fd(call, fd.value, set);
}

Outcome sys_chown(Call& call, UserPath path, uid_t uid, gid_t gid) {
  return chown_at(call, {AT_FDCWD}, path, true, uid, gid);
}

Outcome sys_lchown(Call& call, UserPath path, uid_t uid, gid_t gid) {
  return chown_at(call, {AT_FDCWD}, path, false, uid, gid);
}

Outcome sys_fchown(Call& call, Fd fd, uid_t uid, gid_t gid) {
  return set_fd(call, fd.value, owner_from(uid, gid));
}

Outcome sys_fchownat(Call& call, DirFd dir, UserPath path, uid_t uid, gid_t gid, Flags flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Outcome::error(EINVAL);
  here_for_empty(dir, flags, &path);
  if (path.text.empty() && (flags & AT_EMPTY_PATH) != 0) {
    return set_fd(call, dir.value, owner_from(uid, gid), Named::kByEmptyPath);
  }
  return chown_at(call, dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, uid, gid);
}

Outcome sys_utime(Call& call, UserPath path, Addr<utimbuf> times) {
  SetAttr set;
  set.atime = set.mtime = timespec{0, UTIME_NOW};
  if (times) {
    Result<utimbuf> read = call.memory().get<utimbuf>(times.value);
    if (!read.ok()) return Outcome::error(read.error());
    set.atime = timespec{read->actime, 0};
    set.mtime = timespec{read->modtime, 0};
  }
  return set_path(call, {AT_FDCWD}, path, true, set);
}

Outcome sys_utimes(Call& call, UserPath path, Addr<timeval> times) {
  return utimes_at(call, {AT_FDCWD}, {false, std::move(path)}, true,
                   times_from_timeval(call, times.value));
}

Outcome sys_futimesat(Call& call, DirFd dir, OptionalPath path, Addr<timeval> times) {
  return utimes_at(call, dir, path, true, times_from_timeval(call, times.value));
}

Outcome sys_utimensat(Call& call, DirFd dir, OptionalPath path, Addr<timespec> times, Flags flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Outcome::error(EINVAL);
  if (!path.null) here_for_empty(dir, flags, &path.path);
  bool empty = !path.null && path.path.text.empty() && (flags & AT_EMPTY_PATH) != 0;
  if (empty) path.null = true;
  return utimes_at(call, dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0,
                   times_from(call, times.value), empty ? Named::kByEmptyPath : Named::kItself);
}

Outcome sys_truncate(Call& call, UserPath path, int64_t size) {
  if (size < 0) return Outcome::error(EINVAL);
  SetAttr set;
  set.size = static_cast<uint64_t>(size);
  return set_path(call, {AT_FDCWD}, path, true, set);
}

}  // namespace viewsh
