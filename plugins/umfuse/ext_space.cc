#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// Whatever the length says.
constexpr uint64_t kMostBlocks = ExtMap::kMaxFileBlock + 1;

/// What an inode takes up: the same as before, and no block of it has gone.
uint64_t taken(const ExtInode& inode) {
  return inode.i_blocks | uint64_t{inode.osd2.linux2.l_i_blocks_hi} << 32;
}

}  // namespace

/// From the end, so that what is left after each step is a file. The inode is stored.
Result<void> ExtImage::punch_blocks(NodeId id, ExtInode* inode, uint64_t from, uint64_t to) {
  const uint64_t block = fs_->block_size();
  // Blocks may lie behind the end, but not many: one step for them.
  const uint64_t length = (EXT2_I_SIZE(basic(inode)) + block - 1) / block;
  const uint64_t end = std::min({to, std::max(from, length), kMostBlocks});
  TRY(map_->punch(id, inode, end, to));
  TRY(fs_->store(id, *inode));
  for (uint64_t at = end; at > from;) {
    const uint64_t start = at - from > kStep ? at - kStep : from;
    const uint64_t before = taken(*inode);
    TRY(map_->punch(id, inode, start, at));
    at = start;
    if (taken(*inode) == before) continue;  // a hole
    TRY(fs_->store(id, *inode));
    if (at > from) TRY(begin(0));
  }
  return {};
}

Result<void> ExtImage::shrink(NodeId id, ExtInode* inode, uint64_t size) {
  const uint64_t block = fs_->block_size();
  const uint64_t keep = (size + block - 1) / block;
  uint64_t at = std::min<uint64_t>((EXT2_I_SIZE(basic(inode)) + block - 1) / block, kMostBlocks);
  TRY(map_->punch(id, inode, std::max(at, keep), kMostBlocks));
  // A commit may come after each step: the length goes with the blocks.
  while (at > keep) {
    at = at - keep > kStep ? at - kStep : keep;
    const uint64_t before = taken(*inode);
    TRY(map_->punch(id, inode, at, kMostBlocks));
    if (at == keep) break;
    if (taken(*inode) == before) continue;  // a hole
    TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(inode), static_cast<ext2_off64_t>(at * block)));
    TRY(fs_->store(id, *inode));
    TRY(begin(0));
  }
  if (size % block != 0) TRY(zero_part(id, inode, size, keep * block));
  TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(inode), static_cast<ext2_off64_t>(size)));
  return {};
}

/// truncate(2); the caller stores the inode.
Result<void> ExtImage::set_size(NodeId id, ExtInode* inode, uint64_t size) {
  if (S_ISDIR(inode->i_mode)) return Errno(EISDIR);
  if (!S_ISREG(inode->i_mode)) return Errno(EINVAL);
  if (inode->i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)) return Errno(EPERM);
  const uint64_t old = EXT2_I_SIZE(basic(inode));
  const uint64_t block = fs_->block_size();
  if (size > old && size > map_->max_size(*inode)) return Errno(EFBIG);
  if (is_inline(*inode)) TRY(leave_inode(id, inode));
  if (size < old) {
    TRY(shrink(id, inode, size));
  } else {
    if (old % block != 0) TRY(zero_part(id, inode, old, std::min(size, (old / block + 1) * block)));
    TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(inode), static_cast<ext2_off64_t>(size)));
  }
  const timespec now = ext_now();
  ext_set_time(*fs_, inode, ExtTime::kModify, now);
  ext_set_time(*fs_, inode, ExtTime::kChange, now);
  return {};
}

/// Blocks for the holes in [from, to), in bytes; the inode is stored.
Result<void> ExtImage::reserve_range(NodeId id, ExtInode* inode, uint64_t from, uint64_t to,
                                     bool keep_size) {
  const uint64_t block = fs_->block_size();
  const uint64_t old = EXT2_I_SIZE(basic(inode));
  if (to > old && !keep_size && old % block != 0) {
    TRY(zero_part(id, inode, old, std::min(to, (old / block + 1) * block)));
  }
  const uint64_t last = (to + block - 1) / block;
  Result<void> result;
  uint64_t reached = from;
  for (uint64_t at = from / block; at < last;) {
    TRY_ASSIGN(ExtMap::Piece piece, map_->find(id, *inode, at, last - at));
    if (piece.block == 0) {
      TRY(begin(std::min(piece.count, kStep)));
      const auto filled = map_->fill(id, inode, at, piece.count, true);
      if (!filled) {
        result = filled.error();
        break;
      }
      piece = *filled;
    }
    at += piece.count;
    reached = std::min(to, at * block);
    if (!keep_size && reached > EXT2_I_SIZE(basic(inode))) {
      TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(inode), static_cast<ext2_off64_t>(reached)));
    }
    TRY(fs_->store(id, *inode));
  }
  return result;
}

/// What is in [from, to) reads as zeros and takes no blocks; the inode is stored.
Result<void> ExtImage::punch_range(NodeId id, ExtInode* inode, uint64_t from, uint64_t to) {
  const uint64_t block = fs_->block_size();
  const uint64_t first = (from + block - 1) / block;
  const uint64_t last = to / block;
  if (first > last) return zero_part(id, inode, from, to);
  TRY(zero_part(id, inode, from, first * block));
  TRY(zero_part(id, inode, last * block, to));
  const uint64_t end = std::min(last, kMostBlocks);
  for (uint64_t at = first; at < end;) {
    const uint64_t stop = std::min(end, at + kStep);
    const uint64_t before = taken(*inode);
    TRY(map_->punch(id, inode, at, stop));
    at = stop;
    if (taken(*inode) == before) continue;  // a hole
    TRY(fs_->store(id, *inode));
    if (at < end) TRY(begin(0));
  }
  return fs_->store(id, *inode);
}

Result<void> ExtImage::fallocate(NodeId id, int mode, uint64_t offset, uint64_t size) {
  if (!fs_->writable()) return Errno(EROFS);
  const bool keep = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  const int what = mode & ~FALLOC_FL_KEEP_SIZE;
  if ((what != 0 && what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE) ||
      (what == FALLOC_FL_PUNCH_HOLE && !keep)) {
    return Errno(EOPNOTSUPP);
  }
  uint64_t end = 0;
  if (size == 0) return Errno(EINVAL);
  if (__builtin_add_overflow(offset, size, &end)) return Errno(EFBIG);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  if (S_ISDIR(inode.i_mode)) return Errno(EISDIR);
  if (!S_ISREG(inode.i_mode)) return Errno(ENODEV);
  if (inode.i_flags & EXT2_IMMUTABLE_FL) return Errno(EPERM);
  if ((inode.i_flags & EXT2_APPEND_FL) && what != 0) return Errno(EPERM);
  const uint64_t old = EXT2_I_SIZE(basic(&inode));
  if (what == FALLOC_FL_PUNCH_HOLE) {
    if (offset >= old) return {};
    end = std::min(end, (old + fs_->block_size() - 1) / fs_->block_size() * fs_->block_size());
  } else if (end > map_->max_size(inode)) {
    return Errno(EFBIG);
  }
  TRY(begin(0));
  if (is_inline(inode)) TRY(judge(leave_inode(id, &inode)));
  if (what != FALLOC_FL_PUNCH_HOLE && (inode.i_flags & EXT4_EXTENTS_FL) == 0) {
    return Errno(EOPNOTSUPP);  // as the kernel: there is no way to say "unwritten"
  }
  const timespec now = ext_now();
  ext_set_time(*fs_, &inode, ExtTime::kModify, now);
  ext_set_time(*fs_, &inode, ExtTime::kChange, now);
  if (what != 0) TRY(judge(punch_range(id, &inode, offset, end)));
  if (what != FALLOC_FL_PUNCH_HOLE) TRY(judge(reserve_range(id, &inode, offset, end, keep)));
  return judge(fs_->store(id, inode));
}

}  // namespace viewsh
