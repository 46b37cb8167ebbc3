#include <unistd.h>

#include <algorithm>

#include "syscalls/attr.h"
#include "syscalls/handlers.h"
#include "viewsh/long_path.h"

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

/// What becomes of owners that a program of another identity asks for.
enum class Owners {
  kAsAsked,  ///< the file system keeps them, or nobody is anybody else
  kHosts,    ///< they are the kernel's ids of the same now
  kAreThere  ///< they are what is shown already, of what isn't the user's
};

/// Owners as the kernel has them, where it, and not the file system, is who keeps them: the user's
/// own ids stand for those that the view shows. EPERM: they would not show afterwards.
Result<Owners> host_owners(Call& call, const Attr& attr, SetAttr* set) {
  const Session& session = call.session();
  const Identity* identity = session.identity;
  if (identity == nullptr || (!set->uid && !set->gid) || (attr.stx_mask & kOwnOwners) != 0)
    return Owners::kAsAsked;
  if (set->uid) {
    if (*set->uid != identity->shown_uid(attr.stx_uid)) return Errno(EPERM);
    set->uid = attr.stx_uid;
  }
  if (set->gid && *set->gid == identity->shown_gid(attr.stx_gid)) {
    set->gid = attr.stx_gid;
  } else if (set->gid && *set->gid == identity->shown_gid(session.gid)) {
    set->gid = session.gid;
  } else if (set->gid) {
    const auto& groups = session.groups;
    const bool member = std::find(groups.begin(), groups.end(), *set->gid) != groups.end();
    if (!member || *set->gid != identity->shown_gid(*set->gid)) return Errno(EPERM);
  }
  const bool stays = !set->gid || *set->gid == attr.stx_gid;
  const bool foreign = attr.stx_uid != session.uid;
  return foreign && stays && call.caller().root_in_view() ? Owners::kAreThere : Owners::kHosts;
}

/// chown(2) and its kin have owner and group one behind the other.
Outcome with_owners(Outcome out, unsigned argument, const SetAttr& set) {
  if (out.kind == Outcome::Kind::kRunAsIs) out.kind = Outcome::Kind::kRewritten;
  if (set.uid) out.arguments[argument] = *set.uid;
  if (set.gid) out.arguments[argument + 1] = *set.gid;
  return out;
}

Result<Attr> attr_at(Call& call, const Walked& walked) {
  if (walked.found.attr_virtual) return walked.fs_mutable().getattr(walked.path);
  const PathAt at(AT_FDCWD, host_text(walked));
  Attr attr{};
  const int flags = AT_NO_AUTOMOUNT | (walked.proc_magic ? 0 : AT_SYMLINK_NOFOLLOW);
  TRY(from_libc(statx(at.dir(), at.name(), flags, STATX_BASIC_STATS, &attr)));
  (void)call.view().fix_attr(&attr);
  return attr;
}

/// A change of attributes by path, natively where the host's node is the view's. `owner`: the
/// argument of the call that is the owner, if one is.
Outcome set_path(Call& call, DirFd dir, const UserPath& path, bool follow, SetAttr set,
                 unsigned owner = 0) {
  WalkFlags flags;
  flags.follow = follow;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->proc_magic && !call.changeable(walked->found.host)) return Outcome::error(EROFS);
  Owners owners = Owners::kAsAsked;
  if (owner != 0 && call.session().identity != nullptr) {
    const Result<Attr> attr = attr_at(call, *walked);
    if (!attr.ok()) return Outcome::error(attr.error());
    const Result<Owners> found = host_owners(call, *attr, &set);
    if (!found.ok()) return Outcome::error(walked->fs().read_only() ? Errno(EROFS) : found.error());
    owners = *found;
  }
  if (owners == Owners::kAreThere)
    return Outcome::of(walked->fs().read_only() ? Errno(EROFS) : Result<void>());
  if (walked->native() || walked->proc_magic) {
    Outcome out = call.run_on(*walked, path);
    return owners == Owners::kHosts ? with_owners(std::move(out), owner, set) : out;
  }
  return set_on(call, *walked, set);
}

Result<Attr> attr_of_open(Call& call, int fd) {
  Attr attr{};
  TRY(from_libc(
      statx(AT_FDCWD, call.fd_path(fd).c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &attr)));
  (void)call.view().fix_attr(&attr);
  return attr;
}

/// What a descriptor is named for: fchmod(2) and its kin refuse one of O_PATH (EBADF), a call with
/// AT_EMPTY_PATH takes its object.
enum class Named { kItself, kByEmptyPath };

/// The same through a descriptor: natively unless it is open on something that must not change.
Outcome set_fd(Call& call, int fd, SetAttr set, Named named = Named::kItself, unsigned owner = 0) {
  bool path_only = call.is_path_only(fd);
  if (path_only && named == Named::kItself) return Outcome::as_is();
  Result<Walked> walked = call.walk_fd(fd, true);
  Owners owners = Owners::kAsAsked;
  if (owner != 0 && call.session().identity != nullptr) {
    const Result<Attr> attr = attr_of_open(call, fd);
    if (!attr.ok()) return Outcome::as_is();  // no such descriptor: the kernel says so
    const Result<Owners> found = host_owners(call, *attr, &set);
    if (!found.ok()) return Outcome::error(found.error());
    owners = *found;
  }
  const auto natively = [&](Outcome out) {
    return owners == Owners::kHosts && out.kind == Outcome::Kind::kRunAsIs
               ? with_owners(std::move(out), owner, set)
               : out;
  };
  if (owners == Owners::kAreThere) return Outcome::result(0);
  if (!Call::shown(walked)) return natively(call.unshown(fd));
  bool in_place =
      walked->found.in_place && !walked->found.attr_virtual && call.is_open_on(fd, *walked);
  if (walked->native() || in_place) return natively(set_in_place(call, *walked, set));
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

Outcome chown_at(Call& call, DirFd dir, const UserPath& path, bool follow, uid_t uid, gid_t gid,
                 unsigned owner = 1) {
  return set_path(call, dir, path, follow, owner_from(uid, gid), owner);
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
  return set_fd(call, fd.value, owner_from(uid, gid), Named::kItself, 1);
}

Outcome sys_fchownat(Call& call, DirFd dir, UserPath path, uid_t uid, gid_t gid, Flags flags) {
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) return Outcome::error(EINVAL);
  here_for_empty(dir, flags, &path);
  if (path.text.empty() && (flags & AT_EMPTY_PATH) != 0) {
    return set_fd(call, dir.value, owner_from(uid, gid), Named::kByEmptyPath, 2);
  }
  return chown_at(call, dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, uid, gid, 2);
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
