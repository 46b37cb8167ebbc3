#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/path.h"
#include "syscalls/attr.h"
#include "syscalls/handlers.h"
#include "syscalls/proc_view.h"
#include "viewsh/long_path.h"

namespace viewsh {

namespace {

/// Writes attributes the way one member of the stat family gives them.
using PutAttr = Result<void> (*)(Call& call, uint64_t to, const Attr& attr);

Result<void> put_stat(Call& call, uint64_t to, const Attr& attr) {
  Attr shown = attr;
  call.session().show_owner(&shown);
  return call.memory().put(to, to_stat(shown));
}

Result<void> put_statx(Call& call, uint64_t to, const Attr& attr) {
  Attr shown = attr;
  call.session().show_owner(&shown);
  return call.memory().put(to, shown);
}

/// What a program may want to know of an object of the host's that has another owner here.
constexpr unsigned kWanted = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID | STATX_DIOALIGN;

/// The view's answer for an object of the host's; nullopt: the kernel's own is right.
std::optional<Outcome> stat_host(Call& call, const Walked& walked, uint64_t to, PutAttr put) {
  if (call.session().identity == nullptr || walked.found.host.empty()) return std::nullopt;
  const PathAt at(AT_FDCWD, host_text(walked));
  const int flags = AT_NO_AUTOMOUNT | (walked.proc_magic ? 0 : AT_SYMLINK_NOFOLLOW);
  Attr attr{};
  if (statx(at.dir(), at.name(), flags, kWanted, &attr) < 0) return std::nullopt;
  if (!call.session().shows_other_owner(attr)) return std::nullopt;
  return Outcome::of(put(call, to, attr));
}

/// The view's answer for what is open behind a magic link; nullopt: the kernel's own is right.
std::optional<Outcome> stat_object(Call& call, const std::string& link, uint64_t to, PutAttr put) {
  const bool other = call.session().identity != nullptr;
  if (!call.view().fixes_attr() && !other) return std::nullopt;
  const unsigned wanted = other ? kWanted : STATX_BASIC_STATS | STATX_BTIME;
  Attr attr{};
  if (statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, wanted, &attr) < 0) {
    return std::nullopt;  // no such descriptor: the kernel says so
  }
  const bool fixed = call.view().fix_attr(&attr);
  if (!fixed && !call.session().shows_other_owner(attr)) return std::nullopt;
  return Outcome::of(put(call, to, attr));
}

Outcome stat_path(Call& call, DirFd dir, const UserPath& path, bool follow, uint64_t to,
                  PutAttr put) {
  WalkFlags flags;
  flags.follow = follow;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->proc_magic && follow) {
    std::optional<Outcome> shown = stat_object(call, walked->found.host, to, put);
    if (shown) return std::move(*shown);
  }
  if (!walked->found.attr_virtual) {
    std::optional<Outcome> shown = stat_host(call, *walked, to, put);
    return shown ? std::move(*shown) : call.run_on(*walked, path);
  }
  Result<Attr> attr = walked->fs_mutable().getattr(walked->path);
  if (!attr.ok()) return Outcome::error(attr.error());
  return Outcome::of(put(call, to, *attr));
}

Outcome stat_fd(Call& call, int fd, uint64_t to, PutAttr put) {
  std::optional<Outcome> shown = stat_object(call, call.fd_path(fd), to, put);
  return shown ? std::move(*shown) : Outcome::as_is();
}

Outcome stat_at(Call& call, DirFd dir, const UserPath& path, int flags, uint64_t to, PutAttr put) {
  if (path.text.empty() && (flags & AT_EMPTY_PATH) != 0) {
    if (dir.value == AT_FDCWD) {
      return stat_path(call, dir, {".", path.argument}, true, to, put);
    }
    return stat_fd(call, dir.value, to, put);
  }
  return stat_path(call, dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0, to, put);
}

Outcome access_at(Call& call, DirFd dir, const UserPath& path, int mode, int flags) {
  if ((mode & ~7) != 0) return Outcome::error(EINVAL);
  if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_EACCESS)) != 0)
    return Outcome::error(EINVAL);
  WalkFlags how;
  how.follow = (flags & AT_SYMLINK_NOFOLLOW) == 0;
  bool descriptor = path.text.empty() && (flags & AT_EMPTY_PATH) != 0;
  Result<Walked> walked = !descriptor             ? call.walk(dir, path, how)
                          : dir.value == AT_FDCWD ? call.walk(dir, {".", path.argument}, how)
                                                  : call.walk_fd(dir.value);
  if (descriptor && (!walked.ok() || walked->native())) return Outcome::as_is();
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if ((mode & X_OK) != 0 && (walked->mount->flags & MS_NOEXEC) != 0) {
    // path_noexec() of fs/exec.c: of files alone.
    Result<Attr> attr = walked->fs_mutable().getattr(walked->path);
    if (attr.ok() && S_ISREG(attr->stx_mode)) return Outcome::error(EACCES);
  }
  bool refuse_write = (mode & W_OK) != 0 && walked->fs().read_only();
  if (!walked->found.attr_virtual && !refuse_write) {
    return descriptor ? Outcome::as_is() : call.run_on(*walked, path);
  }
  Result<Attr> attr = walked->fs_mutable().getattr(walked->path);
  if (!attr.ok()) return Outcome::error(attr.error());
  if (refuse_write && !S_ISCHR(attr->stx_mode) && !S_ISFIFO(attr->stx_mode)) {
    return Outcome::error(EROFS);
  }
  return Outcome::of(check_access(walked->fs_mutable(), walked->path, *attr, mode, call.caller()));
}

Outcome readlink_at(Call& call, DirFd dir, const UserPath& path, Addr<char> buffer, int size) {
  if (path.text.empty()) return Outcome::as_is();
  WalkFlags flags;
  flags.follow = false;
  Result<Walked> walked = call.walk(dir, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->found.deferred) return Outcome::error(EINVAL);  // a regular file
  if (call.session().host_proc && walked->view_path.starts_with("/proc/")) {
    TaskProcView proc(call.session(), call.task());
    std::optional<std::string> text = proc.magic_text(walked->view_path.substr(6));
    if (text) {
      if (size <= 0) return Outcome::error(EINVAL);
      size_t n = std::min(text->size(), static_cast<size_t>(size));
      Result<void> put = call.memory().write(buffer.value, text->data(), n);
      return put.ok() ? Outcome::result(static_cast<long>(n)) : Outcome::error(put.error());
    }
  }
  return call.run_on(*walked, path);
}

}  // namespace

Outcome sys_stat(Call& call, UserPath path, Addr<struct stat> out) {
  return stat_path(call, {AT_FDCWD}, path, true, out.value, put_stat);
}

Outcome sys_lstat(Call& call, UserPath path, Addr<struct stat> out) {
  return stat_path(call, {AT_FDCWD}, path, false, out.value, put_stat);
}

Outcome sys_fstat(Call& call, Fd fd, Addr<struct stat> out) {
  return stat_fd(call, fd.value, out.value, put_stat);
}

Outcome sys_newfstatat(Call& call, DirFd dir, OptionalPath given, Addr<struct stat> out,
                       Flags flags) {
  if (given.null && (flags & AT_EMPTY_PATH) == 0) return Outcome::error(EFAULT);
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;
  if ((flags & ~(kFlags | AT_STATX_SYNC_TYPE)) != 0) return Outcome::error(EINVAL);
  const UserPath& path = given.path;
  return stat_at(call, dir, path, flags, out.value, put_stat);
}

Outcome sys_statx(Call& call, DirFd dir, OptionalPath given, Flags flags, Flags mask,
                  Addr<Attr> out) {
  if (given.null && (flags & AT_EMPTY_PATH) == 0) return Outcome::error(EFAULT);
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
  bool both = (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE;
  if ((mask & STATX__RESERVED) != 0 || (flags & ~kFlags) != 0 || both)
    return Outcome::error(EINVAL);
  const UserPath& path = given.path;
  return stat_at(call, dir, path, flags, out.value, put_statx);
}

Outcome sys_access(Call& call, UserPath path, Flags mode) {
  return access_at(call, {AT_FDCWD}, path, mode, 0);
}

Outcome sys_faccessat(Call& call, DirFd dir, UserPath path, Flags mode) {
  return access_at(call, dir, path, mode, 0);
}

Outcome sys_faccessat2(Call& call, DirFd dir, UserPath path, Flags mode, Flags flags) {
  return access_at(call, dir, path, mode, flags);
}

Outcome sys_readlink(Call& call, UserPath path, Addr<char> buffer, int size) {
  return readlink_at(call, {AT_FDCWD}, path, buffer, size);
}

Outcome sys_readlinkat(Call& call, DirFd dir, UserPath path, Addr<char> buffer, int size) {
  return readlink_at(call, dir, path, buffer, size);
}

Outcome sys_statfs(Call& call, UserPath path, Addr<struct statfs> out) {
  Result<Walked> walked = call.walk({AT_FDCWD}, path, {});
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  Result<struct statfs> answer = walked->fs_mutable().statfs(walked->path);
  if (!answer.ok()) return call.run_on(*walked, path);
  return Outcome::of(call.memory().put(out.value, *answer));
}

Outcome sys_fstatfs(Call& call, Fd fd, Addr<struct statfs> out) {
  Result<Walked> walked = call.walk_fd(fd.value);
  if (!walked.ok()) return Outcome::as_is();
  Result<struct statfs> answer = walked->fs_mutable().statfs(walked->path);
  if (!answer.ok()) return Outcome::as_is();
  return Outcome::of(call.memory().put(out.value, *answer));
}

Outcome sys_name_to_handle_at(Call& call, DirFd dir, UserPath path, uint64_t, uint64_t,
                              Flags flags) {
  if (path.text.empty()) return Outcome::as_is();
  WalkFlags how;
  how.follow = (flags & AT_SYMLINK_FOLLOW) != 0;
  Result<Walked> walked = call.walk(dir, path, how);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  Result<void> there = call.have_content(&*walked, O_PATH, call.caller());
  if (!there.ok()) return Outcome::error(there.error());
  return call.run_on(*walked, path);
}

}  // namespace viewsh
