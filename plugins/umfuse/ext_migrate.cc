// The other kind of map for a file: chattr(1) +e and -e. fs/ext4/migrate.c
#include <algorithm>
#include <cstring>
#include <vector>

#include "ext_error.h"
#include "ext_map.h"

namespace viewsh {
namespace {

constexpr unsigned kLevels = EXT2_N_BLOCKS - EXT2_NDIR_BLOCKS;
constexpr uint64_t kMaxExtentBlocks = 32768;
constexpr size_t kInInode = 4;    ///< so many extents need no block of their own
constexpr uint64_t kDeepest = 5;  ///< levels of a tree of extents

}  // namespace

/// The blocks of pointers below one pointer, that one included; never those of data.
Result<void> ExtMap::tables(uint32_t block, unsigned level, std::vector<uint32_t>* out) {
  if (block == 0) return {};
  if (!fs_->alloc().valid(block, 1)) return Errno(EUCLEAN);
  out->push_back(block);
  if (level == 1) return {};
  std::vector<uint32_t> table(fs_->block_size() / sizeof(uint32_t));
  TRY(fs_->cache().read(block * fs_->block_size(), fs_->block_size(), table.data()));
  for (const uint32_t below : table) TRY(tables(below, level - 1, out));
  return {};
}

Result<void> ExtMap::to_extents(uint64_t ino, ExtInode* inode) {
  const uint32_t flags = inode->i_flags;
  const bool can = ext2fs_has_feature_extents(&fs_->super());
  if (!can || (flags & (EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL)) != 0) return Errno(EINVAL);
  TRY(check(ino, *inode));
  std::vector<uint32_t> old;
  for (unsigned level = 1; level <= kLevels; ++level) {
    TRY(tables(inode->i_block[EXT2_NDIR_BLOCKS + level - 1], level, &old));
  }
  std::vector<ext2fs_extent> extents;
  const uint64_t end = max_size(*inode) / fs_->block_size();
  for (uint64_t at = 0; at < end;) {
    TRY_ASSIGN(const Piece piece, find(ino, *inode, at, end - at));
    ext2fs_extent extent = {};
    extent.e_lblk = at;
    extent.e_pblk = piece.block;
    extent.e_len = static_cast<uint32_t>(std::min<uint64_t>(piece.count, kMaxExtentBlocks));
    extent.e_flags = EXT2_EXTENT_FLAGS_LEAF;
    at += piece.block != 0 ? extent.e_len : piece.count;
    if (piece.block != 0) extents.push_back(extent);
  }
  // A tree of half-full nodes at worst; nothing else keeps it from being made.
  const uint64_t per = fs_->block_size() / sizeof(ext3_extent) / 2;
  const uint64_t nodes = extents.size() <= kInInode ? 0 : extents.size() / per + kDeepest;
  if (nodes > fs_->alloc().usable()) return Errno(ENOSPC);
  ExtInode made = *inode;
  TRY(start(&made, 0));
  for (const ext2fs_extent& extent : extents) TRY(insert(ino, &made, extent));
  for (const uint32_t block : old) fs_->alloc().give(block, 1);
  TRY_EXT(ext2fs_iblk_sub_blocks(fs_->lib(), basic(&made), old.size()));
  *inode = made;
  checked_.erase(ino);
  return {};
}

/// ext4_ind_migrate(): one extent that lies where an inode's own pointers reach.
Result<void> ExtMap::to_pointers(uint64_t ino, ExtInode* inode) {
  if ((inode->i_flags & EXT4_EXTENTS_FL) == 0) return Errno(EINVAL);
  TRY(check(ino, *inode));
  ext3_extent_header header;
  ext3_extent extent;
  const char* map = reinterpret_cast<const char*>(inode->i_block);
  std::memcpy(&header, map, sizeof header);
  std::memcpy(&extent, map + sizeof header, sizeof extent);
  if (header.eh_depth != 0 || header.eh_entries > 1) return Errno(EOPNOTSUPP);
  ExtInode made = *inode;
  made.i_flags &= ~static_cast<uint32_t>(EXT4_EXTENTS_FL);
  // A hole may reach further than pointers can.
  if (EXT2_I_SIZE(inode) > max_size(made)) return Errno(EOPNOTSUPP);
  uint32_t pointers[EXT2_N_BLOCKS] = {};
  if (header.eh_entries == 1) {
    const uint64_t first = extent.ee_start | uint64_t{extent.ee_start_hi} << 32;
    const uint64_t end = uint64_t{extent.ee_block} + extent.ee_len;
    // Its length is above all of them where nothing was written.
    if (end > EXT2_NDIR_BLOCKS || first + extent.ee_len > UINT32_MAX) return Errno(EOPNOTSUPP);
    for (uint32_t i = 0; i < extent.ee_len; ++i) {
      pointers[extent.ee_block + i] = static_cast<uint32_t>(first + i);
    }
  }
  static_assert(sizeof pointers == sizeof inode->i_block);
  std::memcpy(made.i_block, pointers, sizeof pointers);
  *inode = made;
  checked_.erase(ino);
  return {};
}

}  // namespace viewsh
