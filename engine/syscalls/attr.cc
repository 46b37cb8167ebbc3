#include "syscalls/attr.h"

#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

namespace viewsh {

struct stat to_stat(const Attr& attr) {
  struct stat out {};
  out.st_dev = makedev(attr.stx_dev_major, attr.stx_dev_minor);
  out.st_rdev = makedev(attr.stx_rdev_major, attr.stx_rdev_minor);
  out.st_ino = attr.stx_ino;
  out.st_mode = attr.stx_mode;
  out.st_nlink = attr.stx_nlink;
  out.st_uid = attr.stx_uid;
  out.st_gid = attr.stx_gid;
  out.st_size = static_cast<off_t>(attr.stx_size);
  out.st_blksize = static_cast<blksize_t>(attr.stx_blksize);
  out.st_blocks = static_cast<blkcnt_t>(attr.stx_blocks);
  out.st_atim = {static_cast<time_t>(attr.stx_atime.tv_sec),
                 static_cast<long>(attr.stx_atime.tv_nsec)};
  out.st_mtim = {static_cast<time_t>(attr.stx_mtime.tv_sec),
                 static_cast<long>(attr.stx_mtime.tv_nsec)};
  out.st_ctim = {static_cast<time_t>(attr.stx_ctime.tv_sec),
                 static_cast<long>(attr.stx_ctime.tv_nsec)};
  return out;
}

Result<void> check_access(const Attr& attr, int mode, const Caller& task) {
  const Caller caller = (attr.stx_mask & kOwnOwners) != 0 ? task.in_view() : task;
  if (mode == F_OK) return {};
  unsigned bits = attr.stx_mode & 0777U;
  if (caller.root()) {
    bool executable = (bits & 0111U) != 0 || S_ISDIR(attr.stx_mode);
    if ((mode & X_OK) != 0 && !executable) return Errno(EACCES);
    return {};
  }
  bool in_group =
      attr.stx_gid == caller.gid ||
      std::find(caller.groups.begin(), caller.groups.end(), attr.stx_gid) != caller.groups.end();
  if (attr.stx_uid == caller.uid) {
    bits >>= 6U;
  } else if (in_group) {
    bits >>= 3U;
  }
  if ((static_cast<unsigned>(mode) & ~bits & 7U) != 0) return Errno(EACCES);
  return {};
}

Result<void> check_access(FileSystem& fs, const std::string& path, const Attr& attr, int mode,
                          const Caller& caller) {
  if (fs.own_meta() && mode != F_OK) {
    const Result<void> may = fs.permits(path, mode, caller);
    if (!(may.error() == ENOSYS)) return may;
  }
  return check_access(attr, mode, caller);
}

}  // namespace viewsh
