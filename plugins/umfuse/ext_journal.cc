#include "ext_journal.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "ext_error.h"

namespace viewsh {
namespace {

constexpr uint32_t kMagic = 0xC03B3998;
constexpr uint32_t kDescriptor = 1;
constexpr uint32_t kCommit = 2;
constexpr uint32_t kSuperV1 = 3;
constexpr uint32_t kSuperV2 = 4;
constexpr uint32_t kIncompat64Bit = 2;
constexpr uint16_t kEscaped = 1;
constexpr uint16_t kSameUuid = 2;
constexpr uint16_t kLastTag = 8;
constexpr size_t kHeader = 12;
constexpr size_t kUuid = 16;

// Offsets in the journal's superblock; all numbers are big-endian.
constexpr size_t kType = 4;
constexpr size_t kBlockSize = 12;
constexpr size_t kLength = 16;
constexpr size_t kFirst = 20;
constexpr size_t kSequence = 24;
constexpr size_t kStart = 28;
constexpr size_t kErrno = 32;
constexpr size_t kCompat = 36;
constexpr size_t kIncompat = 40;
constexpr size_t kRoCompat = 44;
constexpr size_t kSuperUuid = 48;
constexpr size_t kUsers = 64;
constexpr size_t kCommitTime = 48;

/// Blocks of a journal that are used: no transaction is as long as half of that.
constexpr uint64_t kMaxUsed = 16384;

uint32_t get32(const char* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return be32toh(value);
}

void put32(char* at, uint32_t value) {
  value = htobe32(value);
  std::memcpy(at, &value, sizeof value);
}

void put16(char* at, uint16_t value) {
  value = htobe16(value);
  std::memcpy(at, &value, sizeof value);
}

void put_header(char* at, uint32_t type, uint32_t sequence) {
  put32(at, kMagic);
  put32(at + 4, type);
  put32(at + 8, sequence);
}

}  // namespace

Result<std::unique_ptr<ExtJournal>> ExtJournal::open(ext2_filsys fs, ExtCache* cache) {
  std::unique_ptr<ExtJournal> journal(new ExtJournal(fs, cache));
  TRY(journal->load());
  return journal;
}

Result<void> ExtJournal::map_blocks(const ext2_inode& inode) {
  ext2_inode copy = inode;
  const uint64_t count = EXT2_I_SIZE(&inode) / fs_->blocksize;
  if (count > ext2fs_blocks_count(fs_->super)) return Errno(EUCLEAN);
  for (uint64_t i = 0; i < std::min(count, kMaxUsed); ++i) {
    blk64_t block = 0;
    TRY_EXT(ext2fs_bmap2(fs_, fs_->super->s_journal_inum, &copy, nullptr, 0, i, nullptr, &block));
    if (block <= fs_->super->s_first_data_block || block >= ext2fs_blocks_count(fs_->super)) {
      return Errno(EUCLEAN);
    }
    map_.push_back(block);
  }
  return {};
}

Result<void> ExtJournal::load() {
  ext2_inode inode;
  TRY_EXT(ext2fs_read_inode(fs_, fs_->super->s_journal_inum, &inode));
  if (!LINUX_S_ISREG(inode.i_mode) || inode.i_links_count == 0 ||
      (inode.i_flags & EXT4_INLINE_DATA_FL) != 0) {
    return Errno(EUCLEAN);
  }
  TRY(map_blocks(inode));
  if (map_.size() < 64) return Errno(EUCLEAN);
  super_.resize(fs_->blocksize);
  TRY(cache_->device().read(super_.data(), super_.size(), map_[0] * fs_->blocksize));
  const char* super = super_.data();
  const uint32_t type = get32(super + kType);
  const uint64_t whole = get32(super + kLength);
  const uint64_t length = std::min(whole, kMaxUsed);
  first_ = get32(super + kFirst);
  if (get32(super) != kMagic || (type != kSuperV1 && type != kSuperV2) ||
      get32(super + kBlockSize) != fs_->blocksize || whole > EXT2_I_SIZE(&inode) / fs_->blocksize ||
      first_ == 0 || first_ >= length || length - first_ < 32 || get32(super + kStart) != 0 ||
      get32(super + kErrno) != 0) {
    return Errno(EUCLEAN);
  }
  sequence_ = std::max<uint32_t>(get32(super + kSequence), 1);
  wide_ = ext2fs_has_feature_64bit(fs_->super) != 0;
  // What the last writer wanted of the format is of no use for an empty journal.
  if (type == kSuperV1) {
    std::memset(super_.data() + kCompat, 0, super_.size() - kCompat);
    std::memcpy(super_.data() + kSuperUuid, fs_->super->s_uuid, kUuid);
    put32(super_.data() + kUsers, 1);
    put32(super_.data() + kType, kSuperV2);
  }
  put32(super_.data() + kCompat, 0);
  put32(super_.data() + kIncompat, wide_ ? kIncompat64Bit : 0);
  put32(super_.data() + kRoCompat, 0);
  half_ = (length - first_) / 2;
  // Descriptors, the commit block, and the block after it.
  const size_t per = tags_per_block();
  capacity_ = (half_ - 2) * per / (per + 1) - 1;
  return {};
}

size_t ExtJournal::tags_per_block() const {
  return (fs_->blocksize - kHeader - kUuid) / (wide_ ? 12 : 8);
}

Result<void> ExtJournal::write_block(uint64_t index, const void* data) {
  return cache_->device().write(data, fs_->blocksize, map_[index] * fs_->blocksize);
}

Result<void> ExtJournal::write_super(uint32_t start, uint32_t sequence) {
  put32(super_.data() + kStart, start);
  put32(super_.data() + kSequence, sequence);
  return write_block(0, super_.data());
}

Result<void> ExtJournal::write_body(uint64_t start, const std::vector<ExtCache::Dirty>& blocks,
                                    uint64_t* end) {
  std::vector<char> descriptor(fs_->blocksize);
  std::vector<char> escaped(fs_->blocksize);
  const size_t per = tags_per_block();
  uint64_t at = start;
  for (size_t i = 0; i < blocks.size(); i += per) {
    const size_t count = std::min(per, blocks.size() - i);
    std::fill(descriptor.begin(), descriptor.end(), 0);
    put_header(descriptor.data(), kDescriptor, sequence_);
    const uint64_t here = at++;
    char* tag = descriptor.data() + kHeader;
    for (size_t j = 0; j < count; ++j) {
      const ExtCache::Dirty& block = blocks[i + j];
      uint16_t flags = 0;
      if (j != 0) flags |= kSameUuid;
      if (j + 1 == count) flags |= kLastTag;
      const char* data = block.data;
      if (get32(data) == kMagic) {
        std::memcpy(escaped.data(), data, escaped.size());
        put32(escaped.data(), 0);
        data = escaped.data();
        flags |= kEscaped;
      }
      put32(tag, static_cast<uint32_t>(block.block));
      put16(tag + 6, flags);
      if (wide_) put32(tag + 8, static_cast<uint32_t>(block.block >> 32));
      tag += wide_ ? 12 : 8;
      if (j == 0) {
        std::memcpy(tag, super_.data() + kSuperUuid, kUuid);
        tag += kUuid;
      }
      TRY(write_block(at++, data));
    }
    TRY(write_block(here, descriptor.data()));
  }
  *end = at;
  return {};
}

Result<void> ExtJournal::write(const std::vector<ExtCache::Dirty>& blocks) {
  if (blocks.size() > capacity_) return Errno(ENOSPC);
  const uint64_t start = first_ + side_ * half_;
  uint64_t end = 0;
  TRY(write_body(start, blocks, &end));
  std::vector<char> commit(fs_->blocksize);
  // The block behind the transaction may hold one of an older time: the replay has to end here.
  TRY(write_block(end, commit.data()));
  TRY(write_block(end + 1, commit.data()));
  TRY(cache_->device().flush());
  put_header(commit.data(), kCommit, sequence_);
  const uint64_t now = htobe64(static_cast<uint64_t>(::time(nullptr)));
  std::memcpy(commit.data() + kCommitTime, &now, sizeof now);
  TRY(write_block(end, commit.data()));
  // The last transaction is in its place since that flush. Until this block is on the device, too,
  // it is that one which would be replayed.
  TRY(write_super(static_cast<uint32_t>(start), sequence_));
  TRY(cache_->device().flush());
  ++sequence_;
  side_ ^= 1;
  return {};
}

Result<void> ExtJournal::finish() {
  TRY(write_super(0, sequence_));
  return cache_->device().flush();
}

}  // namespace viewsh
