// The calls of the C library that change files, in the place of its own: what the linker finds here
// is what everything in this program uses.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "watch.h"

namespace w = viewsh::crash::watch;

namespace {

template <typename... A>
long raw(long nr, A... arguments) {
  return syscall(nr, arguments...);
}

/// A call that gives a name something new to stand for: its place before, the call, the note.
template <typename Call>
int making(int dir, const char* path, const Call& call) {
  if (w::refused(dir, path)) return -1;
  const int rc = static_cast<int>(call());
  if (rc >= 0) w::made(dir, path);
  return rc;
}

template <typename Call>
int changing(int dir, const char* path, bool follow, const Call& call) {
  const int rc = static_cast<int>(call());
  if (rc >= 0) w::attr(dir, path, follow);
  return rc;
}

int do_open(int dir, const char* path, int flags, mode_t mode, bool own) {
  const bool creates = (flags & O_CREAT) != 0;
  const bool absent = creates && !w::there(dir, path);
  if (!own && absent && w::refused(dir, path)) return -1;
  const int fd = static_cast<int>(raw(SYS_openat, dir, path, flags, mode));
  if (fd < 0) return fd;
  w::own(fd, own);
  if (absent) w::made(dir, path);
  if ((flags & O_TRUNC) != 0) w::truncated(fd, 0);
  return fd;
}

int do_rename(int a, const char* from, int b, const char* to, unsigned flags) {
  if (w::refused(b, to) || w::apart(a, from, b, to)) return -1;
  const w::Renaming change(a, from, b, to, (flags & RENAME_EXCHANGE) != 0);
  const int rc = static_cast<int>(raw(SYS_renameat2, a, from, b, to, flags));
  if (rc == 0) change.done();
  return rc;
}

int do_unlink(int dir, const char* path, int flags) {
  const int rc = static_cast<int>(raw(SYS_unlinkat, dir, path, flags));
  if (rc == 0) w::removed(dir, path);
  return rc;
}

int do_link(int a, const char* from, int b, const char* to, int flags) {
  if (w::refused(b, to) || w::no_links(b, to) || w::apart(a, from, b, to)) return -1;
  const int rc = static_cast<int>(raw(SYS_linkat, a, from, b, to, flags));
  if (rc == 0) w::linked(b, to);
  return rc;
}

int do_stat(int dir, const char* path, struct stat* out, int flags) {
  const int rc = static_cast<int>(raw(SYS_newfstatat, dir, path, out, flags));
  if (rc == 0) w::show(out);
  return rc;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return do_open(AT_FDCWD, path, flags, mode, true);
}
int openat(int dir, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return do_open(dir, path, flags, mode, false);
}
ssize_t write(int fd, const void* data, size_t size) {
  const size_t allowed = w::writable(fd, size);
  if (allowed == 0 && size > 0) return -1;
  const ssize_t n = raw(SYS_write, fd, data, allowed);
  if (n > 0) w::wrote(fd, data, static_cast<size_t>(n), -1);
  return n;
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  const size_t allowed = w::writable(fd, size);
  if (allowed == 0 && size > 0) return -1;
  const ssize_t n = raw(SYS_pwrite64, fd, data, allowed, at);
  if (n > 0) w::wrote(fd, data, static_cast<size_t>(n), at);
  return n;
}
ssize_t copy_file_range(int from, off64_t* in, int to, off64_t* out, size_t size, unsigned flags) {
  const size_t allowed = w::writable(to, size);
  if (allowed == 0 && size > 0) return -1;
  const ssize_t n = raw(SYS_copy_file_range, from, in, to, out, allowed, flags);
  if (n > 0) w::reread(to);
  return n;
}
int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  const long argument = va_arg(rest, long);
  va_end(rest);
  const int rc = static_cast<int>(raw(SYS_ioctl, fd, request, argument));
  if (rc == 0 && request == FICLONE) w::reread(fd);
  return rc;
}
int ftruncate(int fd, off_t size) noexcept {
  const int rc = static_cast<int>(raw(SYS_ftruncate, fd, size));
  if (rc == 0) w::truncated(fd, static_cast<uint64_t>(size));
  return rc;
}
int fsync(int fd) {
  const int rc = static_cast<int>(raw(SYS_fsync, fd));
  if (rc == 0) w::synced(fd);
  return rc;
}
int fdatasync(int fd) {
  const int rc = static_cast<int>(raw(SYS_fdatasync, fd));
  if (rc == 0) w::synced(fd);
  return rc;
}
int syncfs(int fd) noexcept {
  const int rc = w::watching() ? 0 : static_cast<int>(raw(SYS_syncfs, fd));
  if (rc == 0) w::synced_all();
  return rc;
}

int mkdirat(int dir, const char* path, mode_t mode) noexcept {
  return making(dir, path, [&] { return raw(SYS_mkdirat, dir, path, mode); });
}
int mkdir(const char* path, mode_t mode) noexcept { return mkdirat(AT_FDCWD, path, mode); }
int mknodat(int dir, const char* path, mode_t mode, dev_t dev) noexcept {
  return making(dir, path, [&] { return raw(SYS_mknodat, dir, path, mode, dev); });
}
int mknod(const char* path, mode_t mode, dev_t dev) noexcept {
  return mknodat(AT_FDCWD, path, mode, dev);
}
int symlinkat(const char* text, int dir, const char* path) noexcept {
  return making(dir, path, [&] { return raw(SYS_symlinkat, text, dir, path); });
}
int symlink(const char* text, const char* path) noexcept { return symlinkat(text, AT_FDCWD, path); }

int renameat2(int a, const char* from, int b, const char* to, unsigned flags) noexcept {
  return do_rename(a, from, b, to, flags);
}
int renameat(int a, const char* from, int b, const char* to) noexcept {
  return do_rename(a, from, b, to, 0);
}
int rename(const char* from, const char* to) noexcept {
  return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int linkat(int a, const char* from, int b, const char* to, int flags) noexcept {
  return do_link(a, from, b, to, flags);
}
int link(const char* from, const char* to) noexcept {
  return do_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int unlinkat(int dir, const char* path, int flags) noexcept { return do_unlink(dir, path, flags); }
int unlink(const char* path) noexcept { return do_unlink(AT_FDCWD, path, 0); }
int rmdir(const char* path) noexcept { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }

int fchmodat(int dir, const char* path, mode_t mode, int flags) noexcept {
  static const auto next =
      reinterpret_cast<int (*)(int, const char*, mode_t, int)>(dlsym(RTLD_NEXT, "fchmodat"));
  return changing(dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0,
                  [&] { return next(dir, path, mode, flags); });
}
int chmod(const char* path, mode_t mode) noexcept { return fchmodat(AT_FDCWD, path, mode, 0); }
int fchmod(int fd, mode_t mode) noexcept {
  return changing(fd, "", true, [&] { return raw(SYS_fchmod, fd, mode); });
}
int fchownat(int dir, const char* path, uid_t uid, gid_t gid, int flags) noexcept {
  return changing(dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0,
                  [&] { return raw(SYS_fchownat, dir, path, uid, gid, flags); });
}
int utimensat(int dir, const char* path, const timespec times[2], int flags) noexcept {
  return changing(dir, path, (flags & AT_SYMLINK_NOFOLLOW) == 0,
                  [&] { return raw(SYS_utimensat, dir, path, times, flags); });
}
int futimens(int fd, const timespec times[2]) noexcept {
  return changing(fd, "", true, [&] { return raw(SYS_utimensat, fd, nullptr, times, 0); });
}
int lsetxattr(const char* path, const char* name, const void* value, size_t size,
              int flags) noexcept {
  if (w::refused(AT_FDCWD, path) || w::no_xattrs(path)) return -1;
  return changing(AT_FDCWD, path, false,
                  [&] { return raw(SYS_lsetxattr, path, name, value, size, flags); });
}
int setxattr(const char* path, const char* name, const void* value, size_t size,
             int flags) noexcept {
  if (w::refused(AT_FDCWD, path) || w::no_xattrs(path)) return -1;
  return changing(AT_FDCWD, path, true,
                  [&] { return raw(SYS_setxattr, path, name, value, size, flags); });
}
int fsetxattr(int fd, const char* name, const void* value, size_t size, int flags) noexcept {
  return changing(fd, "", true, [&] { return raw(SYS_fsetxattr, fd, name, value, size, flags); });
}
int lremovexattr(const char* path, const char* name) noexcept {
  return changing(AT_FDCWD, path, false, [&] { return raw(SYS_lremovexattr, path, name); });
}

int fstatat(int dir, const char* path, struct stat* out, int flags) noexcept {
  return do_stat(dir, path, out, flags);
}
int stat(const char* path, struct stat* out) noexcept { return do_stat(AT_FDCWD, path, out, 0); }
int lstat(const char* path, struct stat* out) noexcept {
  return do_stat(AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW);
}
int fstat(int fd, struct stat* out) noexcept { return do_stat(fd, "", out, AT_EMPTY_PATH); }
int statx(int dir, const char* path, int flags, unsigned mask, struct statx* out) noexcept {
  const int rc = static_cast<int>(raw(SYS_statx, dir, path, flags, mask, out));
  if (rc == 0) w::show(out);
  return rc;
}
dirent* readdir(DIR* dir) {
  static const auto next = reinterpret_cast<dirent* (*)(DIR*)>(dlsym(RTLD_NEXT, "readdir"));
  dirent* entry = next(dir);
  if (entry != nullptr) w::show(dirfd(dir), entry);
  return entry;
}

}  // extern "C"
