#include <fcntl.h>
#include <sys/stat.h>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// EXT4_FL_USER_VISIBLE, EXT4_FL_USER_MODIFIABLE of fs/ext4/ext4.h.
constexpr uint32_t kVisible = 0x725bdfff;
constexpr uint32_t kModifiable = 0x624bc0ff;
/// Files of which direct access is impossible. EXT4_DAX_MUT_EXCL
constexpr uint32_t kNotDirect =
    EXT4_VERITY_FL | EXT4_ENCRYPT_FL | EXT3_JOURNAL_DATA_FL | EXT4_INLINE_DATA_FL;
/// EXT4_REG_FLMASK, EXT4_OTHER_FLMASK: what directories alone have, and what all others do.
constexpr uint32_t kOfDirectories =
    EXT2_DIRSYNC_FL | EXT2_TOPDIR_FL | EXT4_CASEFOLD_FL | EXT4_PROJINHERIT_FL;
constexpr uint32_t kOfOthers = EXT2_NODUMP_FL | EXT2_NOATIME_FL;
constexpr uint32_t kProjectEnd = 0x20;  ///< bytes beyond the first 128, with i_projid

/// dax_compatible()
bool may_be_direct(mode_t mode, uint32_t old, uint32_t flags) {
  if (S_ISDIR(mode)) {
    flags &= ~static_cast<uint32_t>(EXT4_INLINE_DATA_FL);
    old &= ~static_cast<uint32_t>(EXT4_INLINE_DATA_FL);
  }
  if ((flags & FS_DAX_FL) != 0 && (old & kNotDirect) != 0) return false;
  return (flags & kNotDirect) == 0 || (old & FS_DAX_FL) == 0;
}

bool owner_changes(const SetAttr& set) { return set.mode || set.uid || set.gid; }

}  // namespace

uint32_t ext_flags_for(mode_t mode, uint32_t flags) {
  if (S_ISDIR(mode)) return flags;
  return S_ISREG(mode) ? flags & ~kOfDirectories : flags & kOfOthers;
}

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

Result<void> ExtImage::restore_times(NodeId id, timespec mtime, timespec ctime) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  TRY(begin(0));
  ext_set_time(*fs_, &inode, ExtTime::kModify, mtime);
  ext_set_time(*fs_, &inode, ExtTime::kChange, ctime);
  return judge(fs_->store(id, inode));
}

Result<FileFlags> ExtImage::getflags(NodeId id) {
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  FileFlags out{inode.i_flags & kVisible, 0};
  if (S_ISREG(inode.i_mode)) out.flags &= ~static_cast<uint32_t>(EXT4_PROJINHERIT_FL);
  if (ext2fs_has_feature_project(&fs_->super()) && inode.i_extra_isize >= kProjectEnd)
    out.project = inode.i_projid;
  return out;
}

/// ext4_fileattr_set(). What can be seen but not set is passed over, as chattr(1) gives back what
/// it got.
Result<void> ExtImage::setflags(NodeId id, const FileFlags& set) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  TRY_ASSIGN(const FileFlags old, getflags(id));
  if ((set.flags & ~kVisible) != 0) return Errno(EOPNOTSUPP);
  const uint32_t flags = set.flags & kModifiable;
  if (ext_flags_for(inode.i_mode, flags) != flags) return Errno(EOPNOTSUPP);
  const uint32_t changed = (inode.i_flags ^ flags) & kModifiable;
  // ext4_ioctl_check_immutable(): nothing else changes as long as that is set.
  const bool stays_immutable = (inode.i_flags & flags & EXT2_IMMUTABLE_FL) != 0;
  if (stays_immutable && (changed != 0 || set.project != old.project)) return Errno(EPERM);
  if (!may_be_direct(inode.i_mode, inode.i_flags, flags)) return Errno(EOPNOTSUPP);
  // An image that has the feature is only read.
  if ((changed & EXT4_CASEFOLD_FL) != 0) return Errno(EOPNOTSUPP);
  ext2_super_block& super = fs_->super();
  if (set.project != old.project) {
    // With quotas, who uses how much would have to be counted anew.
    const bool can = ext2fs_has_feature_project(&super) && !ext2fs_has_feature_quota(&super) &&
                     inode.i_extra_isize >= kProjectEnd;
    if (!can) return Errno(EOPNOTSUPP);
    inode.i_projid = set.project;
  }
  TRY(begin(0));
  if ((changed & EXT4_EXTENTS_FL) != 0) {
    TRY(judge((flags & EXT4_EXTENTS_FL) != 0 ? map_->to_extents(id, &inode)
                                             : map_->to_pointers(id, &inode)));
  }
  // ext4_change_inode_journal_flag(): without a journal that says nothing, and isn't kept.
  const bool journal = ext2fs_has_feature_journal(&super);
  const uint32_t taken = journal ? kModifiable : kModifiable & ~uint32_t{EXT3_JOURNAL_DATA_FL};
  inode.i_flags = (inode.i_flags & ~taken) | (flags & taken);
  ext_set_time(*fs_, &inode, ExtTime::kChange, ext_now());
  return judge(fs_->store(id, inode));
}

}  // namespace viewsh
