#include "ext_alloc.h"

#include <algorithm>
#include <cstring>

#include "ext_error.h"

namespace viewsh {

ExtAlloc::ExtAlloc(ext2_filsys fs, ExtCache* cache) : fs_(fs), cache_(cache) {
  fs_->priv_data = this;
}

ExtAlloc::~ExtAlloc() {
  if (system_ != nullptr) ext2fs_free_block_bitmap(system_);
  if (committed_ != nullptr) ext2fs_free_block_bitmap(committed_);
}

Result<void> ExtAlloc::map_system() {
  TRY_EXT(ext2fs_allocate_subcluster_bitmap(fs_, "system", &system_));
  const uint64_t end = ext2fs_blocks_count(fs_->super);
  for (dgrp_t group = 0; group < fs_->group_desc_count; ++group) {
    ext2fs_reserve_super_and_bgd(fs_, group, system_);
    const uint64_t table = ext2fs_inode_table_loc(fs_, group);
    const uint64_t tables[] = {ext2fs_block_bitmap_loc(fs_, group),
                               ext2fs_inode_bitmap_loc(fs_, group)};
    for (const uint64_t block : tables) {
      if (block < fs_->super->s_first_data_block || block >= end) return Errno(EUCLEAN);
      ext2fs_mark_block_bitmap2(system_, block);
    }
    if (table < fs_->super->s_first_data_block || table >= end ||
        fs_->inode_blocks_per_group > end - table) {
      return Errno(EUCLEAN);
    }
    ext2fs_mark_block_bitmap_range2(system_, table, fs_->inode_blocks_per_group);
  }
  for (uint64_t at = fs_->super->s_first_data_block; at < end;) {
    blk64_t first = 0;
    blk64_t stop = end;
    if (ext2fs_find_first_set_block_bitmap2(system_, at, end - 1, &first) != 0) break;
    if (ext2fs_find_first_zero_block_bitmap2(system_, first, end - 1, &stop) != 0) stop = end;
    overhead_ += stop - first;
    at = stop;
  }
  return {};
}

Result<void> ExtAlloc::start() {
  TRY_EXT(ext2fs_check_desc(fs_));
  TRY_EXT(ext2fs_read_bitmaps(fs_));
  TRY_EXT(ext2fs_copy_bitmap(fs_->block_map, &committed_));
  dirty_.assign(fs_->group_desc_count, false);
  fs_->get_alloc_block2 = on_take;
  fs_->block_alloc_stats = on_change;
  return {};
}

bool ExtAlloc::valid(uint64_t start, uint64_t count) const {
  const uint64_t end = ext2fs_blocks_count(fs_->super);
  if (count == 0 || start <= fs_->super->s_first_data_block || start >= end ||
      count > end - start) {
    return false;
  }
  blk64_t taken = 0;
  return ext2fs_find_first_set_block_bitmap2(system_, start, start + count - 1, &taken) == ENOENT;
}

bool ExtAlloc::fresh(uint64_t block) const {
  return committed_ != nullptr && block >= fs_->super->s_first_data_block &&
         block < ext2fs_blocks_count(fs_->super) && !ext2fs_test_block_bitmap2(committed_, block);
}

void ExtAlloc::touch(dgrp_t group) {
  if (dirty_[group]) return;
  dirty_[group] = true;
  ++dirty_groups_;
}

/// What libext2fs allocates: nodes of extent trees, blocks of pointers, of attributes. It marks the
/// block itself.
errcode_t ExtAlloc::on_take(ext2_filsys fs, blk64_t goal, blk64_t* found, blk_alloc_ctx*) {
  auto* self = static_cast<ExtAlloc*>(fs->priv_data);
  Run run;
  if (self->usable() == 0 || !self->find(goal, 1, &run)) return EXT2_ET_BLOCK_ALLOC_FAIL;
  ext2fs_clear_block_uninit(fs, ext2fs_group_of_blk2(fs, run.start));
  *found = run.start;
  return 0;
}

void ExtAlloc::on_change(ext2_filsys fs, blk64_t block, int in_use) {
  auto* self = static_cast<ExtAlloc*>(fs->priv_data);
  self->touch(ext2fs_group_of_blk2(fs, block));
  if (in_use > 0) return;
  self->cache_->forget(block);
  if (!self->fresh(block)) ++self->pending_;
}

bool ExtAlloc::find_in(uint64_t from, uint64_t end, uint64_t want, Run* run) const {
  while (from < end) {
    blk64_t now = 0;
    blk64_t then = 0;
    if (ext2fs_find_first_zero_block_bitmap2(fs_->block_map, from, end - 1, &now) != 0) {
      return false;
    }
    if (ext2fs_find_first_zero_block_bitmap2(committed_, now, end - 1, &then) != 0) return false;
    from = then;
    if (now != then) continue;
    const uint64_t last = std::min<uint64_t>(end - 1, from + want - 1);
    blk64_t stop = 0;
    uint64_t limit = last + 1;
    if (ext2fs_find_first_set_block_bitmap2(fs_->block_map, from, last, &stop) == 0) {
      limit = std::min<uint64_t>(limit, stop);
    }
    if (ext2fs_find_first_set_block_bitmap2(committed_, from, last, &stop) == 0) {
      limit = std::min<uint64_t>(limit, stop);
    }
    *run = {from, limit - from};
    return true;
  }
  return false;
}

bool ExtAlloc::find(uint64_t goal, uint64_t want, Run* run) const {
  const uint64_t first = fs_->super->s_first_data_block;
  const uint64_t end = ext2fs_blocks_count(fs_->super);
  if (goal < first || goal >= end) goal = std::max(first, last_ < end ? last_ : first);
  return find_in(goal, end, want, run) || find_in(first, goal, want, run);
}

uint64_t ExtAlloc::usable() const {
  const uint64_t free = ext2fs_free_blocks_count(fs_->super);
  uint64_t kept = pending_;
  if (!privileged_) kept += ext2fs_r_blocks_count(fs_->super);
  return free > kept ? free - kept : 0;
}

Result<ExtAlloc::Run> ExtAlloc::take(uint64_t goal, uint64_t want) {
  want = std::min(want, usable());
  Run run;
  if (want == 0 || !find(goal, want, &run)) return Errno(ENOSPC);
  dgrp_t group = ext2fs_group_of_blk2(fs_, run.start);
  const dgrp_t last_group = ext2fs_group_of_blk2(fs_, run.start + run.count - 1);
  for (; group <= last_group; ++group) {
    ext2fs_clear_block_uninit(fs_, group);
    touch(group);
  }
  ext2fs_block_alloc_stats_range(fs_, run.start, static_cast<blk_t>(run.count), +1);
  last_ = run.start + run.count;
  return run;
}

void ExtAlloc::give(uint64_t start, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) ext2fs_block_alloc_stats2(fs_, start + i, -1);
}

Result<ext2_ino_t> ExtAlloc::take_inode(ext2_ino_t parent, bool directory) {
  if (fs_->super->s_free_inodes_count == 0) return Errno(ENOSPC);
  ext2_ino_t ino = 0;
  TRY_EXT(ext2fs_new_inode(fs_, parent, 0, nullptr, &ino));
  ext2fs_inode_alloc_stats2(fs_, ino, +1, directory);
  touch(ext2fs_group_of_ino(fs_, ino));
  return ino;
}

void ExtAlloc::give_inode(ext2_ino_t ino, bool directory) {
  ext2fs_inode_alloc_stats2(fs_, ino, -1, directory);
  touch(ext2fs_group_of_ino(fs_, ino));
}

bool ExtAlloc::inode_used(ext2_ino_t ino) const {
  return fs_->inode_map == nullptr || ext2fs_test_inode_bitmap2(fs_->inode_map, ino);
}

Result<void> ExtAlloc::write_changed(uint64_t block, const char* data) {
  std::vector<char> old(fs_->blocksize);
  const uint64_t position = block * fs_->blocksize;
  TRY(cache_->read(position, old.size(), old.data()));
  if (std::memcmp(old.data(), data, old.size()) == 0) return {};
  return cache_->write(position, old.size(), data);
}

Result<void> ExtAlloc::write_block_bitmap(dgrp_t group, std::vector<char>* buffer) {
  if (ext2fs_has_group_desc_csum(fs_) && ext2fs_bg_flags_test(fs_, group, EXT2_BG_BLOCK_UNINIT)) {
    return {};
  }
  const unsigned count = fs_->super->s_blocks_per_group;
  const uint64_t first = fs_->super->s_first_data_block + uint64_t{group} * count;
  std::fill(buffer->begin(), buffer->end(), static_cast<char>(0xff));
  TRY_EXT(ext2fs_get_block_bitmap_range2(fs_->block_map, first, count, buffer->data()));
  if (group == fs_->group_desc_count - 1) {
    const uint64_t rest =
        (ext2fs_blocks_count(fs_->super) - fs_->super->s_first_data_block) % count;
    for (uint64_t bit = rest; rest != 0 && bit < uint64_t{fs_->blocksize} * 8; ++bit) {
      ext2fs_set_bit64(bit, buffer->data());
    }
  }
  TRY_EXT(ext2fs_block_bitmap_csum_set(fs_, group, buffer->data(), static_cast<int>(count / 8)));
  return write_changed(ext2fs_block_bitmap_loc(fs_, group), buffer->data());
}

Result<void> ExtAlloc::write_inode_bitmap(dgrp_t group, std::vector<char>* buffer) {
  if (ext2fs_has_group_desc_csum(fs_) && ext2fs_bg_flags_test(fs_, group, EXT2_BG_INODE_UNINIT)) {
    return {};
  }
  const unsigned count = fs_->super->s_inodes_per_group;
  std::fill(buffer->begin(), buffer->end(), static_cast<char>(0xff));
  TRY_EXT(ext2fs_get_inode_bitmap_range2(fs_->inode_map, uint64_t{group} * count + 1, count,
                                         buffer->data()));
  TRY_EXT(ext2fs_inode_bitmap_csum_set(fs_, group, buffer->data(), static_cast<int>(count / 8)));
  return write_changed(ext2fs_inode_bitmap_loc(fs_, group), buffer->data());
}

Result<void> ExtAlloc::write_descriptors() {
  const auto per = static_cast<dgrp_t>(EXT2_DESC_PER_BLOCK(fs_->super));
  const auto* table = reinterpret_cast<const char*>(fs_->group_desc);
  for (dgrp_t group = 0; group < fs_->group_desc_count; ++group) {
    if (!dirty_[group]) continue;
    const dgrp_t index = group / per;
    const uint64_t block = ext2fs_descriptor_block_loc2(fs_, fs_->super->s_first_data_block, index);
    TRY(write_changed(block, table + size_t{index} * fs_->blocksize));
    group = (index + 1) * per - 1;
  }
  return {};
}

Result<void> ExtAlloc::write_out() {
  if (dirty_groups_ == 0) return {};
  std::vector<char> buffer(fs_->blocksize);
  for (dgrp_t group = 0; group < fs_->group_desc_count; ++group) {
    if (!dirty_[group]) continue;
    TRY(write_block_bitmap(group, &buffer));
    TRY(write_inode_bitmap(group, &buffer));
    ext2fs_group_desc_csum_set(fs_, group);
  }
  return write_descriptors();
}

Result<void> ExtAlloc::committed() {
  if (dirty_groups_ == 0) return {};
  std::vector<char> buffer(fs_->blocksize);
  const uint64_t count = fs_->super->s_blocks_per_group;
  const uint64_t end = ext2fs_blocks_count(fs_->super);
  for (dgrp_t group = 0; group < fs_->group_desc_count; ++group) {
    if (!dirty_[group]) continue;
    const uint64_t first = fs_->super->s_first_data_block + uint64_t{group} * count;
    const uint64_t here = std::min(count, end - first);
    TRY_EXT(ext2fs_get_block_bitmap_range2(fs_->block_map, first, here, buffer.data()));
    TRY_EXT(ext2fs_set_block_bitmap_range2(committed_, first, here, buffer.data()));
  }
  dirty_.assign(dirty_.size(), false);
  dirty_groups_ = 0;
  pending_ = 0;
  return {};
}

}  // namespace viewsh
