#pragma once

#include <ext2fs/ext2fs.h>

#include <vector>

#include "ext_cache.h"

namespace viewsh {

/// Which blocks and inodes are in use. A block that was freed is taken again only after the commit
/// that frees it: until then the last commit's file may still need what is in it.
class ExtAlloc {
 public:
  /// `fs` and `cache` outlive this; fs->priv_data is this one's.
  ExtAlloc(ext2_filsys fs, ExtCache* cache);
  ~ExtAlloc();
  ExtAlloc(const ExtAlloc&) = delete;
  ExtAlloc& operator=(const ExtAlloc&) = delete;

  /// Which blocks are the file system's own; enough for reading. EUCLEAN.
  Result<void> map_system();
  /// Reads the bitmaps; before anything is changed. EUCLEAN, EIO.
  Result<void> start();

  /// [start, start + count) can belong to a file: inside, and none of the tables.
  bool valid(uint64_t start, uint64_t count) const;
  /// Was it free at the last commit?
  bool fresh(uint64_t block) const;

  /// Blocks that no file can ever have.
  uint64_t overhead() const { return overhead_; }

  struct Run {
    uint64_t start = 0;
    uint64_t count = 0;
  };
  /// Takes 1 to `want` adjacent blocks, at `goal` if they are free. ENOSPC.
  Result<Run> take(uint64_t goal, uint64_t want);
  void give(uint64_t start, uint64_t count);
  /// An inode near `parent`. ENOSPC.
  Result<ext2_ino_t> take_inode(ext2_ino_t parent, bool directory);
  void give_inode(ext2_ino_t ino, bool directory);
  bool inode_used(ext2_ino_t ino) const;

  /// May the blocks kept for the administrator be used?
  void set_privileged(bool privileged) { privileged_ = privileged; }
  /// Free blocks that can be taken before a commit.
  uint64_t usable() const;
  /// Blocks that the next commit makes free.
  uint64_t pending() const { return pending_; }

  /// Brings the changed bitmaps and descriptors to the cache.
  Result<void> write_out();
  /// Blocks that write_out() would make dirty, at most.
  size_t dirty_count() const { return dirty_groups_ * 3; }
  /// What is in use now is what is in use on disk.
  Result<void> committed();

 private:
  static errcode_t on_take(ext2_filsys fs, blk64_t goal, blk64_t* found, blk_alloc_ctx* context);
  static void on_change(ext2_filsys fs, blk64_t block, int in_use);
  void touch(dgrp_t group);
  bool find(uint64_t goal, uint64_t want, Run* run) const;
  bool find_in(uint64_t from, uint64_t end, uint64_t want, Run* run) const;
  Result<void> write_block_bitmap(dgrp_t group, std::vector<char>* buffer);
  Result<void> write_inode_bitmap(dgrp_t group, std::vector<char>* buffer);
  Result<void> write_descriptors();
  Result<void> write_changed(uint64_t block, const char* data);

  ext2_filsys fs_;
  ExtCache* cache_;
  ext2fs_block_bitmap system_ = nullptr;
  ext2fs_block_bitmap committed_ = nullptr;  ///< in use at the last commit
  std::vector<bool> dirty_;                  ///< groups
  size_t dirty_groups_ = 0;
  uint64_t pending_ = 0;
  uint64_t overhead_ = 0;
  uint64_t last_ = 0;  ///< the end of the last run: where the next search without a goal starts
  bool privileged_ = true;
};

}  // namespace viewsh
