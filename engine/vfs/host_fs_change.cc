#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "vfs/host_fs.h"
#include "viewsh/long_path.h"

namespace viewsh {

namespace {

/// The engine's own umask is 0; the caller's is the kernel's to apply, or not where a directory has
/// a default ACL. umask(2).
class WithUmask {
 public:
  explicit WithUmask(const Caller& caller) : old_(umask(caller.umask)) {}
  ~WithUmask() { umask(old_); }
  WithUmask(const WithUmask&) = delete;
  WithUmask& operator=(const WithUmask&) = delete;

 private:
  mode_t old_;
};

/// A change through the engine makes what the cache knows of this place worthless.
Result<void> done(PathCache& cache, int rc) {
  Result<void> result = from_libc(rc);
  cache.clear();
  return result;
}

}  // namespace

Result<OpenPlan> HostFs::plan_open(const std::string& path, const OpenHow& how, const Caller&) {
  return OpenPlan{host_path(path), how.flags, how.mode, false};
}

Result<void> HostFs::mkdir(const std::string& path, mode_t mode, const Caller& caller) {
  WithUmask mask(caller);
  return done(*cache_, ::mkdir(LongPath(host_path(path)).c_str(), mode));
}

Result<void> HostFs::mknod(const std::string& path, mode_t mode, dev_t dev, const Caller& caller) {
  WithUmask mask(caller);
  return done(*cache_, ::mknod(LongPath(host_path(path)).c_str(), mode, dev));
}

Result<void> HostFs::symlink(const std::string& path, const std::string& target, const Caller&) {
  return done(*cache_, ::symlink(target.c_str(), LongPath(host_path(path)).c_str()));
}

Result<void> HostFs::link(const std::string& from, const std::string& to, const Caller&) {
  return done(*cache_, ::link(LongPath(host_path(from)).c_str(), LongPath(host_path(to)).c_str()));
}

Result<void> HostFs::link_host(const std::string& host_fd, const std::string& to, const Caller&) {
  return done(*cache_, linkat(AT_FDCWD, host_fd.c_str(), AT_FDCWD, LongPath(host_path(to)).c_str(),
                              AT_SYMLINK_FOLLOW));
}

Result<void> HostFs::unlink(const std::string& path, const Caller&) {
  return done(*cache_, ::unlink(LongPath(host_path(path)).c_str()));
}

Result<void> HostFs::rmdir(const std::string& path, const Caller&) {
  return done(*cache_, ::rmdir(LongPath(host_path(path)).c_str()));
}

Result<void> HostFs::rename(const std::string& from, const std::string& to, unsigned flags,
                            const Caller&) {
  return done(*cache_,
              static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, LongPath(host_path(from)).c_str(),
                                       AT_FDCWD, LongPath(host_path(to)).c_str(), flags)));
}

Result<void> HostFs::setattr(const std::string& path, const SetAttr& set, const Caller&) {
  LongPath host(host_path(path));
  if (set.uid || set.gid) {
    TRY(from_libc(lchown(host.c_str(), set.uid.value_or(static_cast<uid_t>(-1)),
                         set.gid.value_or(static_cast<gid_t>(-1)))));
  }
  if (set.mode) TRY(from_libc(chmod(host.c_str(), *set.mode)));
  if (set.size) TRY(from_libc(truncate(host.c_str(), static_cast<off_t>(*set.size))));
  if (set.atime || set.mtime) {
    timespec omit{0, UTIME_OMIT};
    timespec times[2] = {set.atime.value_or(omit), set.mtime.value_or(omit)};
    TRY(from_libc(utimensat(AT_FDCWD, host.c_str(), times, AT_SYMLINK_NOFOLLOW)));
  }
  return {};
}

Result<void> HostFs::setxattr(const std::string& path, const std::string& name,
                              std::string_view value, int flags, const Caller&) {
  return from_libc(lsetxattr(LongPath(host_path(path)).c_str(), name.c_str(), value.data(),
                             value.size(), flags));
}

Result<void> HostFs::removexattr(const std::string& path, const std::string& name, const Caller&) {
  return from_libc(lremovexattr(LongPath(host_path(path)).c_str(), name.c_str()));
}

Result<std::string> HostFs::watch(const std::string& path, const Caller&) {
  return host_path(path);
}

}  // namespace viewsh
