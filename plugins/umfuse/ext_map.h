#pragma once

#include <unordered_set>

#include "ext_fs.h"

namespace viewsh {

/// Where the blocks of a file are: extents, or blocks of pointers. All numbers are of blocks; those
/// of a file are below kMaxFileBlock. Functions that change an inode change the caller's copy, and
/// what is stored may be older: the caller stores it.
class ExtMap {
 public:
  /// As far as an extent can reach.
  static constexpr uint64_t kMaxFileBlock = 0xfffffffeu;

  explicit ExtMap(ExtFs* fs) : fs_(fs) {}

  /// A part of a file that is on disk in one piece, or that is a hole.
  struct Piece {
    uint64_t count = 0;      ///< at least 1
    uint64_t block = 0;      ///< on disk; 0: a hole
    bool unwritten = false;  ///< reads as zeros
  };
  /// What is at `at`, as far as it goes, at most `max` blocks. EUCLEAN.
  Result<Piece> find(uint64_t ino, const ExtInode& inode, uint64_t at, uint64_t max);
  /// Fills a hole with 1 to `max` new blocks; their content is whatever it was. ENOSPC.
  Result<Piece> fill(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t max, bool unwritten);
  /// The map of an inode without one: nothing, or `block` as its first block.
  Result<void> start(ExtInode* inode, uint64_t block);
  /// Unwritten blocks become written ones; their content is what the caller wrote to them.
  Result<void> set_written(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t count);
  /// Frees the blocks [from, to); to may be beyond the end.
  Result<void> punch(uint64_t ino, ExtInode* inode, uint64_t from, uint64_t to);
  /// The map of pointers as one of extents. EINVAL: it isn't such a map, or the file system has no
  /// extents; ENOSPC.
  Result<void> to_extents(uint64_t ino, ExtInode* inode);
  /// And back: EOPNOTSUPP unless it is one extent in the first twelve blocks. EINVAL.
  Result<void> to_pointers(uint64_t ino, ExtInode* inode);
  /// The longest file that the kind of map allows, in bytes.
  uint64_t max_size(const ExtInode& inode) const;

  /// The inode is another file's from now on.
  void forget(uint64_t ino) { checked_.erase(ino); }

 private:
  Result<void> check(uint64_t ino, const ExtInode& inode);
  Result<void> check_extents(const void* node, size_t size, unsigned depth, uint64_t* next,
                             uint64_t* budget);
  Result<void> check_pointers(const uint32_t* blocks, size_t count, unsigned level,
                              uint64_t* budget);
  static const char* find_entry(const char* node, uint64_t at, uint64_t* next);
  Result<Piece> find_extent(const ExtInode& inode, uint64_t at, uint64_t max);
  Result<Piece> find_pointer(const ExtInode& inode, uint64_t at, uint64_t max);
  Result<Piece> fill_extent(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t max,
                            bool unwritten);
  Result<Piece> fill_pointers(uint64_t ino, ExtInode* inode, uint64_t at, uint64_t max);
  Result<void> punch_extent(uint64_t ino, ExtInode* inode, uint64_t from, uint64_t to);
  Result<uint64_t> punch_table(uint32_t* pointer, unsigned level, uint64_t from, uint64_t to);
  Result<void> punch_pointers(ExtInode* inode, uint64_t from, uint64_t to);
  Result<void> insert(uint64_t ino, ExtInode* inode, const ext2fs_extent& extent);
  Result<void> tables(uint32_t block, unsigned level, std::vector<uint32_t>* out);
  uint64_t goal(uint64_t ino, const ExtInode& inode, uint64_t at);

  ExtFs* fs_;
  /// Inodes whose map was looked at as a whole: it is a tree, its blocks are inside, none comes
  /// twice. libext2fs takes that for granted.
  std::unordered_set<uint64_t> checked_;
};

}  // namespace viewsh
