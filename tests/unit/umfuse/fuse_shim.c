// For a FUSE server that opens /dev/fuse and mounts: it gets the socket VIEWSH_FUSE_FD, and mount(2)
// and umount2(2) succeed without doing anything. Preloaded; as a view will do it for all programs.
// vmsplice(2) fails, and libfuse writes its replies instead of splicing them into the device: a
// socket makes many packets of what is spliced into it.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/uio.h>

typedef int (*open_fn)(const char *, int, ...);
typedef int (*ioctl_fn)(int, unsigned long, ...);

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  const char *fd = getenv("VIEWSH_FUSE_FD");
  if (fd != NULL && strcmp(path, "/dev/fuse") == 0) {
    return fcntl(atoi(fd), (flags & O_CLOEXEC) != 0 ? F_DUPFD_CLOEXEC : F_DUPFD, 3);
  }
  open_fn next = (open_fn)dlsym(RTLD_NEXT, "open64");
  return next(path, flags, mode);
}

int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *arg = va_arg(rest, void *);
  va_end(rest);
  // The descriptor is a copy already.
  if (request == FUSE_DEV_IOC_CLONE) return 0;
  ioctl_fn next = (ioctl_fn)dlsym(RTLD_NEXT, "ioctl");
  return next(fd, request, arg);
}

int mount(const char *source, const char *target, const char *type, unsigned long flags,
          const void *data) {
  (void)source, (void)target, (void)type, (void)flags, (void)data;
  return 0;
}

int umount2(const char *target, int flags) {
  (void)target, (void)flags;
  return 0;
}

ssize_t vmsplice(int fd, const struct iovec *parts, size_t count, unsigned flags) {
  (void)fd, (void)parts, (void)count, (void)flags;
  errno = EINVAL;
  return -1;
}
