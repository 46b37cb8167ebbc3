#include "near.h"

#include <fcntl.h>

#include "cow_host.h"

namespace viewsh::viewfs {

int Near::enter(const std::string& host, size_t* name) {
  const size_t slash = host.rfind('/');
  *name = slash + 1;
  if (slash == std::string::npos || slash == 0 || *name == host.size()) return -1;
  if (fd_ && host.compare(0, slash, dir_) == 0) return fd_.get();
  dir_ = host.substr(0, slash);
  const PathAt at(AT_FDCWD, dir_);
  fd_.reset(openat(at.dir(), at.name(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return fd_ ? fd_.get() : -1;
}

Result<Attr> Near::lstat(const std::string& host) {
  size_t name = 0;
  const int dir = enter(host, &name);
  return dir < 0 ? lstat_at(AT_FDCWD, host) : lstat_at(dir, host.substr(name));
}

Result<Xattrs> Near::xattrs(const std::string& host) {
  size_t name = 0;
  const int dir = enter(host, &name);
  return dir < 0 ? read_xattrs(LongPath(host)) : read_xattrs_at(dir, host.substr(name));
}

}  // namespace viewsh::viewfs
