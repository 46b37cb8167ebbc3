#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {

/// In front of the list: the superblock names the first, each inode the next in its i_dtime. The
/// kernel uses that list, too, where the image has a file of orphans and that is full.
/// fs/ext4/orphan.c.
Result<void> ExtImage::add_orphan(NodeId ino, ExtInode* inode) {
  ext2_super_block& super = fs_->super();
  inode->i_dtime = super.s_last_orphan;
  TRY(fs_->store(ino, *inode));
  super.s_last_orphan = static_cast<uint32_t>(ino);
  fs_->super_changed();
  orphans_.push_back(ino);
  return {};
}

/// Sets *inode's i_dtime to 0; the caller stores it.
Result<void> ExtImage::remove_orphan(NodeId ino, ExtInode* inode) {
  const auto it = std::find(orphans_.begin(), orphans_.end(), ino);
  if (it == orphans_.end()) return {};
  if (it + 1 == orphans_.end()) {
    fs_->super().s_last_orphan = inode->i_dtime;
    fs_->super_changed();
  } else {
    TRY_ASSIGN(ExtInode before, fs_->load(*(it + 1)));
    before.i_dtime = inode->i_dtime;
    TRY(fs_->store(*(it + 1), before));
  }
  inode->i_dtime = 0;
  orphans_.erase(it);
  return {};
}

Result<void> ExtImage::free_inode(NodeId ino) {
  TRY_ASSIGN(ExtInode inode, fs_->load(ino));
  const bool is_directory = S_ISDIR(inode.i_mode);
  const bool mapped =
      !is_inline(inode) && (S_ISREG(inode.i_mode) || is_directory ||
                            (S_ISLNK(inode.i_mode) && !ext2fs_is_fast_symlink(basic(&inode))));
  if (mapped) {
    const bool listed = std::find(orphans_.begin(), orphans_.end(), ino) != orphans_.end();
    // More than one commit may be needed: until the last it must be found again.
    const bool steps = EXT2_I_SIZE(basic(&inode)) / fs_->block_size() > kStep;
    if (!listed && steps) {
      TRY(add_orphan(ino, &inode));
    }
    TRY(punch_blocks(ino, &inode, 0, ExtMap::kMaxFileBlock + 1));
  }
  if (ext2fs_file_acl_block(fs_->lib(), basic(&inode)) != 0) {
    TRY_EXT(ext2fs_free_ext_attr(fs_->lib(), static_cast<ext2_ino_t>(ino), &inode));
  }
  TRY(remove_orphan(ino, &inode));
  inode.i_flags &= ~static_cast<uint32_t>(EXT4_INLINE_DATA_FL);
  if (!mapped) std::memset(inode.i_block, 0, sizeof inode.i_block);
  TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(&inode), 0));
  inode.i_links_count = 0;
  inode.i_dtime = static_cast<uint32_t>(ext_now().tv_sec);
  TRY(fs_->store(ino, inode));
  fs_->alloc().give_inode(static_cast<ext2_ino_t>(ino), is_directory);
  map_->forget(ino);
  if (is_directory) dirs_->forget(ino);
  return {};
}

/// One of the list: a file without names, or one whose shortening was cut off.
Result<void> ExtImage::clear_orphan(NodeId ino) {
  TRY_ASSIGN(ExtInode inode, fs_->load(ino));
  if (inode.i_mode == 0 || !fs_->alloc().inode_used(static_cast<ext2_ino_t>(ino))) {
    return Errno(EUCLEAN);
  }
  if (inode.i_links_count == 0) return free_inode(ino);
  if (S_ISREG(inode.i_mode) && !is_inline(inode)) {
    const uint64_t size = fs_->block_size();
    const uint64_t keep = (EXT2_I_SIZE(basic(&inode)) + size - 1) / size;
    TRY(punch_blocks(ino, &inode, keep, ExtMap::kMaxFileBlock + 1));
  }
  TRY(remove_orphan(ino, &inode));
  return fs_->store(ino, inode);
}

Result<void> ExtImage::clear_orphans() {
  std::unordered_set<NodeId> seen;
  ext2_super_block& super = fs_->super();
  for (NodeId ino = super.s_last_orphan; ino != 0;) {
    const auto inode = fs_->load(ino);
    if (ino < EXT2_FIRST_INO(&super) || !inode || !seen.insert(ino).second) {
      orphans_.clear();
      return Errno(EUCLEAN);
    }
    orphans_.insert(orphans_.begin(), ino);
    ino = inode->i_dtime;
  }
  while (!orphans_.empty()) {
    TRY(begin(0));
    const NodeId ino = orphans_.back();
    if (auto cleared = clear_orphan(ino); !cleared) {
      orphans_.clear();
      return cleared;
    }
  }
  return clear_orphan_file();
}

Result<void> ExtImage::clear_orphan_file() {
  ext2_super_block& super = fs_->super();
  if (!ext2fs_has_feature_orphan_file(&super) || !ext2fs_has_feature_orphan_present(&super)) {
    return {};
  }
  const NodeId file = super.s_orphan_file_inum;
  TRY_ASSIGN(const ExtInode inode, fs_->load(file));
  const uint64_t size = fs_->block_size();
  const uint64_t count = EXT2_I_SIZE(basic(&inode)) / size;
  if (!S_ISREG(inode.i_mode) || count > ext2fs_blocks_count(&super)) return Errno(EUCLEAN);
  std::vector<char> data(size);
  const auto per = static_cast<size_t>(ext2fs_inodes_per_orphan_block(fs_->lib()));
  for (uint64_t at = 0; at < count; ++at) {
    TRY_ASSIGN(const ExtMap::Piece piece, map_->find(file, inode, at, 1));
    if (piece.block == 0 || piece.unwritten) return Errno(EUCLEAN);
    TRY(fs_->cache().read(piece.block * size, size, data.data()));
    if (!ext2fs_orphan_file_block_csum_verify(fs_->lib(), static_cast<ext2_ino_t>(file),
                                              piece.block, data.data())) {
      return Errno(EUCLEAN);
    }
    for (size_t i = 0; i < per; ++i) {
      uint32_t ino = 0;
      std::memcpy(&ino, data.data() + i * sizeof ino, sizeof ino);
      if (ino == 0) continue;
      if (ino < EXT2_FIRST_INO(&super)) return Errno(EUCLEAN);
      TRY(begin(0));
      TRY(clear_orphan(ino));
      std::memset(data.data() + i * sizeof ino, 0, sizeof ino);
      TRY_EXT(ext2fs_orphan_file_block_csum_set(fs_->lib(), static_cast<ext2_ino_t>(file),
                                                piece.block, data.data()));
      TRY(fs_->cache().write(piece.block * size, size, data.data()));
    }
  }
  ext2fs_clear_feature_orphan_present(&super);
  fs_->super_changed();
  return {};
}

}  // namespace viewsh
