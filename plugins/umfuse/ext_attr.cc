#include <fcntl.h>
#include <sys/stat.h>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// What chattr(1) may change of a file.
constexpr uint32_t kSettable = EXT2_SECRM_FL | EXT2_UNRM_FL | EXT2_SYNC_FL | EXT2_IMMUTABLE_FL |
                               EXT2_APPEND_FL | EXT2_NODUMP_FL | EXT2_NOATIME_FL | EXT2_DIRSYNC_FL |
                               EXT2_TOPDIR_FL | EXT2_NOTAIL_FL;
constexpr uint32_t kVisible = EXT2_FL_USER_VISIBLE;

bool owner_changes(const SetAttr& set) { return set.mode || set.uid || set.gid; }

}  // namespace

Result<void> ExtImage::setattr(NodeId id, const SetAttr& set) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  const timespec now = ext_now();
  if (inode.i_flags & EXT2_IMMUTABLE_FL) return Errno(EPERM);
  // Who may set its times is the caller's business: what was appended has one, too.
  if ((inode.i_flags & EXT2_APPEND_FL) != 0 && owner_changes(set)) return Errno(EPERM);
  TRY(begin(0));
  if (set.size) TRY(judge(set_size(id, &inode, *set.size)));
  if (set.mode) {
    inode.i_mode = static_cast<uint16_t>((inode.i_mode & S_IFMT) | (*set.mode & 07777));
  }
  if (set.uid) {
    inode.i_uid = static_cast<uint16_t>(*set.uid);
    inode.osd2.linux2.l_i_uid_high = static_cast<uint16_t>(*set.uid >> 16);
  }
  if (set.gid) {
    inode.i_gid = static_cast<uint16_t>(*set.gid);
    inode.osd2.linux2.l_i_gid_high = static_cast<uint16_t>(*set.gid >> 16);
  }
  const auto given = [&](const timespec& time) { return time.tv_nsec == UTIME_NOW ? now : time; };
  if (set.atime && set.atime->tv_nsec != UTIME_OMIT) {
    ext_set_time(*fs_, &inode, ExtTime::kAccess, given(*set.atime));
  }
  if (set.mtime && set.mtime->tv_nsec != UTIME_OMIT) {
    ext_set_time(*fs_, &inode, ExtTime::kModify, given(*set.mtime));
  }
  ext_set_time(*fs_, &inode, ExtTime::kChange, now);
  TRY(judge(fs_->store(id, inode)));
  if (set.mode && !S_ISLNK(inode.i_mode)) return judge(chmod_acl(id, *set.mode));
  return {};
}

Result<uint32_t> ExtImage::getflags(NodeId id) {
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  return inode.i_flags & kVisible;
}

Result<void> ExtImage::setflags(NodeId id, uint32_t flags) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  if (((inode.i_flags ^ flags) & kVisible & ~kSettable) != 0 || (flags & ~kVisible) != 0) {
    return Errno(EOPNOTSUPP);
  }
  TRY(begin(0));
  inode.i_flags = (inode.i_flags & ~kSettable) | (flags & kSettable);
  ext_set_time(*fs_, &inode, ExtTime::kChange, ext_now());
  return judge(fs_->store(id, inode));
}

}  // namespace viewsh
