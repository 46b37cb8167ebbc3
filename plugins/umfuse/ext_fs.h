#pragma once

#include <ext2fs/ext2fs.h>

#include <memory>
#include <string>
#include <unordered_set>

#include "ext_alloc.h"
#include "ext_cache.h"
#include "ext_journal.h"

namespace viewsh {

/// An inode as on disk, as far as its first 160 bytes; where an image has inodes of 128 bytes the
/// rest is 0 and is not stored.
using ExtInode = ext2_inode_large;
inline ext2_inode* basic(ExtInode* inode) { return reinterpret_cast<ext2_inode*>(inode); }
inline const ext2_inode* basic(const ExtInode* inode) {
  return reinterpret_cast<const ext2_inode*>(inode);
}

/// An open file system: libext2fs's structures, the cache below them, and commits. Nothing here
/// knows names or files.
class ExtFs {
 public:
  struct Settings {
    bool writable = false;
    size_t cache_bytes = size_t{16} << 20;
    std::string last_mounted;
  };
  /// *note: what the user should know, even where it succeeds: opened for reading only, and why.
  static Result<std::unique_ptr<ExtFs>> open(std::unique_ptr<ExtDevice> device,
                                             const Settings& settings, std::string* note);
  ~ExtFs();
  ExtFs(const ExtFs&) = delete;
  ExtFs& operator=(const ExtFs&) = delete;

  ext2_filsys lib() const { return fs_; }
  ext2_super_block& super() const { return *fs_->super; }
  ExtCache& cache() { return *cache_; }
  ExtDevice& device() { return *device_; }
  ExtAlloc& alloc() { return *alloc_; }
  uint64_t block_size() const { return fs_->blocksize; }
  bool writable() const { return writable_; }
  bool has_journal() const { return journal_ != nullptr; }
  bool large_inodes() const { return EXT2_INODE_SIZE(fs_->super) > EXT2_GOOD_OLD_INODE_SIZE; }

  /// ESTALE: no such number. EUCLEAN: its checksum is wrong.
  Result<ExtInode> load(uint64_t ino);
  Result<void> store(uint64_t ino, const ExtInode& inode);
  /// A new inode: what lies behind the structure becomes 0.
  Result<void> store_new(uint64_t ino, const ExtInode& inode);

  /// Everything up to now becomes durable, in one step where there is a journal.
  Result<void> commit();
  /// Between two operations: commits if too much waits in memory, or if `blocks` are not to be had
  /// before a commit.
  Result<void> breathe(uint64_t blocks);
  /// Something in the image can't be: it will be marked as having errors.
  void found_error() { errors_ = true; }
  void make_read_only() { writable_ = false; }
  void super_changed() { super_dirty_ = true; }
  /// As after umount(8). No other function after it.
  Result<void> close();

 private:
  ExtFs() = default;
  Result<void> start(const Settings& settings, std::string* note);
  void check_extra_size();
  Result<void> start_writing(const Settings& settings);
  Result<void> write_super_now();
  Result<void> gather();
  Result<void> write_in_order();
  Result<void> write_blocks(const std::vector<ExtCache::Dirty>& blocks);
  size_t limit() const;

  std::unique_ptr<ExtDevice> device_;
  std::unique_ptr<ExtCache> cache_;
  ext2_filsys fs_ = nullptr;
  std::unique_ptr<ExtAlloc> alloc_;
  std::unique_ptr<ExtJournal> journal_;
  bool writable_ = false;
  bool started_ = false;  ///< marked on disk as being written
  bool errors_ = false;
  bool super_dirty_ = false;
  uint16_t state_ = 0;  ///< s_state as it was found
};

}  // namespace viewsh
