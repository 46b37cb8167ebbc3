#include "ext_fs.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "ext_error.h"
#include "ext_io.h"
#include "ext_super.h"

namespace viewsh {
namespace {

/// Bytes that may wait in memory, and the blocks that an operation must be able to change.
constexpr size_t kMaxWaiting = size_t{16} << 20;
constexpr size_t kMinBlocks = 512;

}  // namespace

ExtFs::~ExtFs() {
  journal_.reset();
  alloc_.reset();
  if (fs_ != nullptr) ext2fs_free(fs_);
}

Result<std::unique_ptr<ExtFs>> ExtFs::open(std::unique_ptr<ExtDevice> device,
                                           const Settings& settings, std::string* note) {
  std::unique_ptr<ExtFs> fs(new ExtFs);
  fs->device_ = std::move(device);
  TRY(fs->start(settings, note));
  return fs;
}

Result<void> ExtFs::start(const Settings& settings, std::string* note) {
  TRY_ASSIGN(const ext2_super_block super, ext_read_super(device_.get(), note));
  cache_ = std::make_unique<ExtCache>(device_.get(), settings.cache_bytes);
  cache_->set_block_size(1024u << super.s_log_block_size);
  initialize_ext2_error_table();
  ext_io_next(cache_.get());
  int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP;
  if (settings.writable) flags |= EXT2_FLAG_RW;
  if (const errcode_t rc = ext2fs_open2("image", nullptr, flags, 0, 0, ext_io_manager(), &fs_)) {
    *note = std::string("the file system can't be read: ") + error_message(rc);
    fs_ = nullptr;
    return ext_errno(rc);
  }
  fs_->default_bitmap_type = EXT2FS_BMAP64_BITARRAY;
  alloc_ = std::make_unique<ExtAlloc>(fs_, cache_.get());
  if (auto mapped = alloc_->map_system(); !mapped) {
    *note = "the file system can't be read: its group descriptors are wrong";
    return mapped;
  }
  state_ = fs_->super->s_state;
  if (!settings.writable) return {};
  if (auto started = start_writing(settings); !started) {
    if (cache_->dirty_count() != 0 || started_) return started;
    *note = "opened for reading only: its bitmaps or its journal can't be used; run e2fsck";
    writable_ = false;
  }
  return {};
}

/// How much of an inode new ones use beyond the first 128 bytes: libext2fs takes it for granted
/// that there is so much. As the kernel, which goes on with its own then: ext4_fill_super().
void ExtFs::check_extra_size() {
  ext2_super_block& super = *fs_->super;
  const uint16_t wanted = super.s_want_extra_isize;
  constexpr size_t kKnown = sizeof(ExtInode) - EXT2_GOOD_OLD_INODE_SIZE;
  const size_t room = EXT2_INODE_SIZE(&super) - EXT2_GOOD_OLD_INODE_SIZE;
  if (wanted > room || wanted % 4 != 0)
    super.s_want_extra_isize = static_cast<uint16_t>(std::min(kKnown, room));
}

Result<void> ExtFs::start_writing(const Settings& settings) {
  check_extra_size();
  TRY(alloc_->start());
  if (ext2fs_has_feature_journal(fs_->super)) {
    TRY_ASSIGN(journal_, ExtJournal::open(fs_, cache_.get()));
  }
  writable_ = true;
  ext2_super_block& super = *fs_->super;
  super.s_mtime = static_cast<uint32_t>(::time(nullptr));
  if (super.s_mnt_count < UINT16_MAX) ++super.s_mnt_count;
  if (!settings.last_mounted.empty()) {
    std::memset(super.s_last_mounted, 0, sizeof super.s_last_mounted);
    std::memcpy(super.s_last_mounted, settings.last_mounted.data(),
                std::min(settings.last_mounted.size(), sizeof super.s_last_mounted));
  }
  if (journal_) {
    ext2fs_set_feature_journal_needs_recovery(&super);
  } else {
    super.s_state = static_cast<uint16_t>(super.s_state & ~EXT2_VALID_FS);
  }
  started_ = true;
  return write_super_now();
}

Result<void> ExtFs::write_super_now() {
  fs_->super->s_wtime = static_cast<uint32_t>(::time(nullptr));
  fs_->super->s_block_group_nr = 0;
  TRY_EXT(ext2fs_superblock_csum_set(fs_, fs_->super));
  TRY(device_->write(fs_->super, SUPERBLOCK_SIZE, SUPERBLOCK_OFFSET));
  cache_->forget(SUPERBLOCK_OFFSET / fs_->blocksize);
  return device_->flush();
}

Result<ExtInode> ExtFs::load(uint64_t ino) {
  if (ino == 0 || ino > fs_->super->s_inodes_count) return Errno(ESTALE);
  ExtInode inode;
  std::memset(&inode, 0, sizeof inode);
  const auto size = std::min<size_t>(sizeof inode, EXT2_INODE_SIZE(fs_->super));
  TRY_EXT(ext2fs_read_inode_full(fs_, static_cast<ext2_ino_t>(ino), basic(&inode),
                                 static_cast<int>(size)));
  return inode;
}

Result<void> ExtFs::store(uint64_t ino, const ExtInode& inode) {
  ExtInode copy = inode;
  const auto size = std::min<size_t>(sizeof inode, EXT2_INODE_SIZE(fs_->super));
  TRY_EXT(ext2fs_write_inode_full(fs_, static_cast<ext2_ino_t>(ino), basic(&copy),
                                  static_cast<int>(size)));
  return {};
}

Result<void> ExtFs::store_new(uint64_t ino, const ExtInode& inode) {
  std::vector<char> whole(EXT2_INODE_SIZE(fs_->super));
  std::memcpy(whole.data(), &inode, std::min(whole.size(), sizeof inode));
  TRY_EXT(ext2fs_write_inode_full(fs_, static_cast<ext2_ino_t>(ino),
                                  reinterpret_cast<ext2_inode*>(whole.data()),
                                  static_cast<int>(whole.size())));
  return {};
}

size_t ExtFs::limit() const {
  const size_t blocks = std::max(kMaxWaiting / fs_->blocksize, kMinBlocks);
  return journal_ ? std::min(journal_->capacity() * 3 / 4, blocks) : blocks;
}

Result<void> ExtFs::breathe(uint64_t blocks) {
  if (!writable_) return Errno(EROFS);
  const bool full = cache_->dirty_count() + alloc_->dirty_count() > limit();
  const bool tight = alloc_->pending() > 0 && alloc_->usable() < blocks;
  if (full || tight) return commit();
  return {};
}

Result<void> ExtFs::gather() {
  const bool changed = alloc_->dirty_count() != 0 || cache_->dirty_count() != 0 || super_dirty_;
  if (!changed) return {};
  TRY(alloc_->write_out());
  ext2_super_block& super = *fs_->super;
  super.s_wtime = static_cast<uint32_t>(::time(nullptr));
  super.s_block_group_nr = 0;
  if (errors_) super.s_state |= EXT2_ERROR_FS;
  TRY_EXT(ext2fs_superblock_csum_set(fs_, &super));
  return cache_->write(SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, &super);
}

Result<void> ExtFs::write_blocks(const std::vector<ExtCache::Dirty>& blocks) {
  for (const ExtCache::Dirty& block : blocks) {
    const uint64_t position = block.block * fs_->blocksize;
    const size_t size = std::min<uint64_t>(fs_->blocksize, device_->size() - position);
    TRY(device_->write(block.data, size, position));
  }
  return {};
}

/// Without a journal: first what nothing on disk refers to, then inodes and bitmaps, then
/// directories and trees. A file that didn't change is whole at every moment, and a new one has its
/// inode before its name.
Result<void> ExtFs::write_in_order() {
  std::vector<ExtCache::Dirty> stages[3];
  for (const ExtCache::Dirty& block : cache_->dirty()) {
    size_t stage = 2;
    if (alloc_->fresh(block.block)) {
      stage = 0;
    } else if (!alloc_->valid(block.block, 1)) {
      stage = 1;
    }
    stages[stage].push_back(block);
  }
  for (const auto& stage : stages) {
    TRY(write_blocks(stage));
    TRY(device_->flush());
  }
  return {};
}

Result<void> ExtFs::commit() {
  if (!started_) return {};
  TRY(gather());
  const auto dirty = cache_->dirty();
  if (dirty.empty()) return device_->flush();
  if (journal_ && dirty.size() <= journal_->capacity()) {
    TRY(journal_->write(dirty));
    TRY(write_blocks(dirty));
  } else if (journal_) {
    // More than the journal holds: nothing may be replayed over it, and it isn't one step.
    TRY(journal_->finish());
    const uint16_t state = fs_->super->s_state;
    fs_->super->s_state = static_cast<uint16_t>(state & ~EXT2_VALID_FS);
    const auto marked = write_super_now();
    fs_->super->s_state = state;
    TRY(marked);
    TRY(write_in_order());
    TRY(write_super_now());
  } else {
    TRY(write_in_order());
  }
  cache_->clean_all();
  super_dirty_ = false;
  return alloc_->committed();
}

Result<void> ExtFs::close() {
  if (!started_) return {};
  TRY(commit());
  TRY(device_->flush());
  ext2_super_block& super = *fs_->super;
  if (journal_) {
    TRY(journal_->finish());
    ext2fs_clear_feature_journal_needs_recovery(&super);
  } else if (state_ & EXT2_VALID_FS) {
    super.s_state |= EXT2_VALID_FS;
  }
  started_ = false;
  writable_ = false;
  return write_super_now();
}

}  // namespace viewsh
