#pragma once

#include <ext2fs/ext2fs.h>

#include <memory>
#include <vector>

#include "ext_cache.h"

namespace viewsh {

/// The image's own journal, so that a commit is there as a whole or not at all: e2fsck(8) and the
/// kernel replay it. One transaction at a time: the journal is used as two halves, and the next
/// transaction goes into the half that the last one is not in, when the blocks of the last are in
/// their places. So nothing is ever replayed over a block that became something else, and there is
/// no need to revoke. The format: Documentation/filesystems/ext4/journal.rst, fs/jbd2/.
class ExtJournal {
 public:
  /// `fs`, `cache` outlive this. The journal must be empty. EUCLEAN: no journal that can be used.
  static Result<std::unique_ptr<ExtJournal>> open(ext2_filsys fs, ExtCache* cache);

  /// Blocks that one transaction can have.
  size_t capacity() const { return capacity_; }
  /// On return the transaction is durable; what was written to the device before it, too. Then the
  /// caller writes the blocks to their places.
  Result<void> write(const std::vector<ExtCache::Dirty>& blocks);
  /// Marks the journal as empty. The last transaction's blocks must be in their places, durably.
  Result<void> finish();

 private:
  ExtJournal(ext2_filsys fs, ExtCache* cache) : fs_(fs), cache_(cache) {}
  Result<void> load();
  Result<void> map_blocks(const ext2_inode& inode);
  Result<void> write_block(uint64_t index, const void* data);
  Result<void> write_body(uint64_t start, const std::vector<ExtCache::Dirty>& blocks,
                          uint64_t* end);
  Result<void> write_super(uint32_t start, uint32_t sequence);
  size_t tags_per_block() const;

  ext2_filsys fs_;
  ExtCache* cache_;
  std::vector<uint64_t> map_;  ///< physical block of each block of the journal
  std::vector<char> super_;    ///< one block, as on disk
  uint64_t first_ = 0;         ///< the first block after the journal's superblock
  uint64_t half_ = 0;          ///< blocks of a half
  size_t capacity_ = 0;
  uint32_t sequence_ = 1;  ///< of the next transaction
  unsigned side_ = 0;      ///< half of the next transaction
  bool wide_ = false;      ///< block numbers of 64 bits
};

}  // namespace viewsh
