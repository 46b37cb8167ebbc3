#include <algorithm>
#include <cstring>

#include "ext_error.h"
#include "ext_extent.h"
#include "ext_map.h"

namespace viewsh {
namespace {

constexpr uint64_t kMaxWritten = 32768;
constexpr uint64_t kMaxUnwritten = 32767;

bool has_extents(const ExtInode& inode) { return (inode.i_flags & EXT4_EXTENTS_FL) != 0; }

}  // namespace

/// Behind the block before; for the first block of a file, in the inode's group.
uint64_t ExtMap::goal(uint64_t ino, const ExtInode& inode, uint64_t at) {
  if (at > 0) {
    const auto before = find(ino, inode, at - 1, 1);
    if (before && before->block != 0) return before->block + 1;
  }
  const dgrp_t group = ext2fs_group_of_ino(fs_->lib(), static_cast<ext2_ino_t>(ino));
  return at == 0 ? ext2fs_group_first_block2(fs_->lib(), group)
                 : ext2fs_find_inode_goal(fs_->lib(), static_cast<ext2_ino_t>(ino),
                                          const_cast<ext2_inode*>(basic(&inode)), at);
}

Result<ExtMap::Piece> ExtMap::fill(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t max,
                                   bool unwritten) {
  TRY(check(ino, *inode));
  if (at > kMaxFileBlock) return Errno(EFBIG);
  max = std::min(max, kMaxFileBlock - at + 1);
  return has_extents(*inode) ? fill_extent(ino, inode, at, max, unwritten)
                             : fill_pointers(ino, inode, at, max);
}

Result<ExtMap::Piece> ExtMap::fill_extent(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t max,
                                          bool unwritten) {
  max = std::min(max, unwritten ? kMaxUnwritten : kMaxWritten);
  TRY_ASSIGN(const ExtAlloc::Run run, fs_->alloc().take(goal(ino, *inode, at), max));
  ext2fs_extent extent = {};
  extent.e_lblk = at;
  extent.e_pblk = run.start;
  extent.e_len = static_cast<uint32_t>(run.count);
  extent.e_flags = EXT2_EXTENT_FLAGS_LEAF;
  if (unwritten) extent.e_flags |= EXT2_EXTENT_FLAGS_UNINIT;
  if (auto inserted = insert(ino, inode, extent); !inserted) {
    fs_->alloc().give(run.start, run.count);
    return inserted.error();
  }
  TRY_EXT(ext2fs_iblk_add_blocks(fs_->lib(), basic(inode), run.count));
  return Piece{run.count, run.start, unwritten};
}

/// The extent's place must be a hole. It becomes a part of the one before where it can.
Result<void> ExtMap::insert(uint64_t ino, ExtInode* inode, const ext2fs_extent& extent) {
  ExtExtents tree;
  TRY(tree.open(fs_->lib(), ino, basic(inode)));
  ext2fs_extent added = extent;
  ext2fs_extent near;
  const errcode_t found = ext2fs_extent_goto2(tree.get(), 0, extent.e_lblk);
  if (found == 0) return Errno(EUCLEAN);
  if (found != EXT2_ET_EXTENT_NOT_FOUND) return ext_errno(found);
  const errcode_t got = ext2fs_extent_get(tree.get(), EXT2_EXTENT_CURRENT, &near);
  if (got != 0 && got != EXT2_ET_NO_CURRENT_NODE) return ext_errno(got);
  const bool before = got == 0 && near.e_lblk < extent.e_lblk;
  const bool unwritten = (extent.e_flags & EXT2_EXTENT_FLAGS_UNINIT) != 0;
  const uint64_t longest = unwritten ? kMaxUnwritten : kMaxWritten;
  if (before && near.e_lblk + near.e_len == extent.e_lblk &&
      near.e_pblk + near.e_len == extent.e_pblk &&
      unwritten == ((near.e_flags & EXT2_EXTENT_FLAGS_UNINIT) != 0) &&
      near.e_len + extent.e_len <= longest) {
    near.e_len += extent.e_len;
    TRY_EXT(ext2fs_extent_replace(tree.get(), 0, &near));
    return {};
  }
  TRY_EXT(ext2fs_extent_insert(tree.get(), before ? EXT2_EXTENT_INSERT_AFTER : 0, &added));
  TRY_EXT(ext2fs_extent_fix_parents(tree.get()));
  return {};
}

Result<ExtMap::Piece> ExtMap::fill_pointers(uint64_t ino, ExtInode* inode, uint64_t at,
                                            uint64_t max) {
  Piece piece;
  for (; piece.count < max; ++piece.count) {
    blk64_t block = 0;
    // The privilege and the reserve are the allocator's, which libext2fs asks.
    const errcode_t rc = ext2fs_bmap2(fs_->lib(), static_cast<ext2_ino_t>(ino), basic(inode),
                                      nullptr, BMAP_ALLOC, at + piece.count, nullptr, &block);
    if (rc != 0 && piece.count == 0) return ext_errno(rc);
    if (rc != 0) break;
    fs_->cache().forget(block);
    if (piece.count == 0) {
      piece.block = block;
    } else if (block != piece.block + piece.count) {
      // A piece of its own for the next call, which finds it as a hole.
      TRY(punch_pointers(inode, at + piece.count, at + piece.count + 1));
      break;
    }
  }
  return piece;
}

Result<void> ExtMap::start(ExtInode* inode, uint64_t block) {
  std::memset(inode->i_block, 0, sizeof inode->i_block);
  if (!ext2fs_has_feature_extents(&fs_->super())) {
    inode->i_flags &= ~static_cast<uint32_t>(EXT4_EXTENTS_FL);
    if (block > UINT32_MAX) return Errno(ENOSPC);
    inode->i_block[0] = static_cast<uint32_t>(block);
    return {};
  }
  inode->i_flags |= EXT4_EXTENTS_FL;
  ext3_extent_header header = {};
  header.eh_magic = EXT3_EXT_MAGIC;
  header.eh_max = 4;
  if (block != 0) {
    header.eh_entries = 1;
    ext3_extent extent = {};
    extent.ee_len = 1;
    extent.ee_start = static_cast<uint32_t>(block);
    extent.ee_start_hi = static_cast<uint16_t>(block >> 32);
    std::memcpy(reinterpret_cast<char*>(inode->i_block) + sizeof header, &extent, sizeof extent);
  }
  std::memcpy(inode->i_block, &header, sizeof header);
  return {};
}

Result<void> ExtMap::set_written(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t count) {
  TRY(check(ino, *inode));
  for (uint64_t i = 0; i < count; ++i) {
    TRY_ASSIGN(const Piece piece, find(ino, *inode, at + i, 1));
    if (!piece.unwritten) continue;
    ExtExtents tree;
    TRY(tree.open(fs_->lib(), ino, basic(inode)));
    TRY_EXT(ext2fs_extent_goto2(tree.get(), 0, at + i));
    TRY_EXT(ext2fs_extent_set_bmap(tree.get(), at + i, piece.block, 0));
  }
  return {};
}

/// The part in [from, to) of the extent that `from` is in. ext2fs_punch() of e2fsprogs 1.47.0
/// refuses extents that end with the file system's last block, half-way.
Result<void> ExtMap::punch_extent(uint64_t ino, ExtInode* inode, uint64_t from, uint64_t to) {
  ExtExtents tree;
  TRY(tree.open(fs_->lib(), ino, basic(inode)));
  ext2fs_extent extent;
  TRY_EXT(ext2fs_extent_goto2(tree.get(), 0, from));
  TRY_EXT(ext2fs_extent_get(tree.get(), EXT2_EXTENT_CURRENT, &extent));
  const uint64_t end = extent.e_lblk + extent.e_len;
  if (!fs_->alloc().valid(extent.e_pblk, extent.e_len)) return Errno(EUCLEAN);
  const uint64_t first = from;
  const uint64_t last = std::min(to, end);
  const uint64_t freed = extent.e_pblk + (first - extent.e_lblk);
  if (last < end && first > extent.e_lblk) {
    ext2fs_extent rest = extent;
    rest.e_lblk = last;
    rest.e_pblk += last - extent.e_lblk;
    rest.e_len = static_cast<uint32_t>(end - last);
    TRY_EXT(ext2fs_extent_insert(tree.get(), EXT2_EXTENT_INSERT_AFTER, &rest));
    TRY_EXT(ext2fs_extent_fix_parents(tree.get()));
    TRY_EXT(ext2fs_extent_goto2(tree.get(), 0, extent.e_lblk));
  }
  if (first > extent.e_lblk) {
    extent.e_len = static_cast<uint32_t>(first - extent.e_lblk);
    TRY_EXT(ext2fs_extent_replace(tree.get(), 0, &extent));
  } else if (last < end) {
    extent.e_pblk += last - extent.e_lblk;
    extent.e_len = static_cast<uint32_t>(end - last);
    extent.e_lblk = last;
    TRY_EXT(ext2fs_extent_replace(tree.get(), 0, &extent));
    TRY_EXT(ext2fs_extent_fix_parents(tree.get()));
  } else {
    TRY_EXT(ext2fs_extent_delete(tree.get(), 0));
    const errcode_t fixed = ext2fs_extent_fix_parents(tree.get());
    if (fixed != 0 && fixed != EXT2_ET_NO_CURRENT_NODE) return ext_errno(fixed);
  }
  fs_->alloc().give(freed, last - first);
  TRY_EXT(ext2fs_iblk_sub_blocks(fs_->lib(), basic(inode), last - first));
  return {};
}

/// The part [from, to) of what is below one pointer; numbers count from its first block.
/// ext2fs_punch() of e2fsprogs 1.47.0 stops early where a range crosses from one kind of pointer to
/// the next.
Result<uint64_t> ExtMap::punch_table(uint32_t* pointer, unsigned level, uint64_t from,
                                     uint64_t to) {
  if (*pointer == 0) return uint64_t{0};
  uint64_t freed = 0;
  if (level > 0) {
    const uint64_t per = fs_->block_size() / sizeof(uint32_t);
    uint64_t span = 1;
    for (unsigned i = 1; i < level; ++i) span *= per;
    std::vector<uint32_t> table(per);
    const uint64_t position = *pointer * fs_->block_size();
    TRY(fs_->cache().read(position, fs_->block_size(), table.data()));
    for (uint64_t i = from / span; i < per && i * span < to; ++i) {
      const uint64_t first = i * span < from ? from - i * span : 0;
      const uint64_t last = std::min(span, to - i * span);
      TRY_ASSIGN(const uint64_t below, punch_table(&table[i], level - 1, first, last));
      freed += below;
    }
    if (std::any_of(table.begin(), table.end(), [](uint32_t entry) { return entry != 0; })) {
      if (freed != 0) TRY(fs_->cache().write(position, fs_->block_size(), table.data()));
      return freed;
    }
  }
  if (!fs_->alloc().valid(*pointer, 1)) return Errno(EUCLEAN);
  fs_->alloc().give(*pointer, 1);
  *pointer = 0;
  return freed + 1;
}

Result<void> ExtMap::punch_pointers(ExtInode* inode, uint64_t from, uint64_t to) {
  const uint64_t per = fs_->block_size() / sizeof(uint32_t);
  uint64_t start = 0;
  uint64_t span = 1;
  uint64_t freed = 0;
  for (unsigned slot = 0; slot < EXT2_N_BLOCKS && start < to; ++slot) {
    const unsigned level = slot < EXT2_NDIR_BLOCKS ? 0 : slot - EXT2_NDIR_BLOCKS + 1;
    if (level > 0) span *= per;
    if (start + span > from) {
      TRY_ASSIGN(const uint64_t below,
                 punch_table(&inode->i_block[slot], level, from > start ? from - start : 0,
                             std::min(span, to - start)));
      freed += below;
    }
    start += span;
  }
  TRY_EXT(ext2fs_iblk_sub_blocks(fs_->lib(), basic(inode), freed));
  return {};
}

Result<void> ExtMap::punch(uint64_t ino, ExtInode* inode, uint64_t from, uint64_t to) {
  TRY(check(ino, *inode));
  to = std::min(to, kMaxFileBlock + 1);
  if (from >= to) return {};
  if (!has_extents(*inode)) return punch_pointers(inode, from, to);
  while (from < to) {
    TRY_ASSIGN(const Piece piece, find(ino, *inode, from, to - from));
    if (piece.block != 0) TRY(punch_extent(ino, inode, from, from + piece.count));
    from += piece.count;
  }
  return {};
}

}  // namespace viewsh
