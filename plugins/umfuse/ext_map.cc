#include "ext_map.h"

#include <algorithm>
#include <cstring>

namespace viewsh {
namespace {

constexpr size_t kMaxChecked = 65536;
constexpr uint64_t kMaxExtent = 32768;

bool has_extents(const ExtInode& inode) { return (inode.i_flags & EXT4_EXTENTS_FL) != 0; }

}  // namespace

Result<void> ExtMap::check(uint64_t ino, const ExtInode& inode) {
  if (inode.i_flags & EXT4_INLINE_DATA_FL) return Errno(EUCLEAN);
  if (checked_.count(ino) != 0) return {};
  uint64_t budget = ext2fs_blocks_count(&fs_->super());
  if (has_extents(inode)) {
    ext3_extent_header root;
    std::memcpy(&root, inode.i_block, sizeof root);
    uint64_t next = 0;
    if (root.eh_depth > 5) return Errno(EUCLEAN);
    TRY(check_extents(inode.i_block, sizeof inode.i_block, root.eh_depth, &next, &budget));
  } else {
    TRY(check_pointers(inode.i_block, EXT2_NDIR_BLOCKS, 0, &budget));
    for (unsigned level = 1; level <= 3; ++level) {
      TRY(check_pointers(inode.i_block + EXT2_NDIR_BLOCKS + level - 1, 1, level, &budget));
    }
  }
  if (checked_.size() >= kMaxChecked) checked_.clear();
  checked_.insert(ino);
  return {};
}

/// Every node's entries lie in ascending order in what the node above says of it; *next is the
/// first block of the file that may come now.
Result<void> ExtMap::check_extents(const void* node, size_t size, unsigned depth, uint64_t* next,
                                   uint64_t* budget) {
  ext3_extent_header header;
  std::memcpy(&header, node, sizeof header);
  if (header.eh_magic == 0 && depth == 0 && size == sizeof ExtInode().i_block) {
    // libext2fs's empty tree: no header at all.
    const char* bytes = static_cast<const char*>(node);
    if (std::all_of(bytes, bytes + size, [](char byte) { return byte == 0; })) return {};
  }
  const size_t room = (size - sizeof header) / sizeof(ext3_extent);
  if (header.eh_magic != EXT3_EXT_MAGIC || header.eh_depth != depth ||
      header.eh_entries > header.eh_max || header.eh_max > room || header.eh_max == 0 ||
      (header.eh_entries == 0 && (depth != 0 || size != sizeof ExtInode().i_block))) {
    return Errno(EUCLEAN);
  }
  const char* at = static_cast<const char*>(node) + sizeof header;
  std::vector<char> child(depth == 0 ? 0 : fs_->block_size());
  for (unsigned i = 0; i < header.eh_entries; ++i, at += sizeof(ext3_extent)) {
    uint64_t block;
    uint64_t count = 1;
    uint64_t logical;
    if (depth == 0) {
      ext3_extent leaf;
      std::memcpy(&leaf, at, sizeof leaf);
      logical = leaf.ee_block;
      block = leaf.ee_start | uint64_t{leaf.ee_start_hi} << 32;
      count = leaf.ee_len > kMaxExtent ? leaf.ee_len - kMaxExtent : leaf.ee_len;
    } else {
      ext3_extent_idx index;
      std::memcpy(&index, at, sizeof index);
      logical = index.ei_block;
      block = index.ei_leaf | uint64_t{index.ei_leaf_hi} << 32;
    }
    if (logical < *next || count > *budget || !fs_->alloc().valid(block, count)) {
      return Errno(EUCLEAN);
    }
    *budget -= count;
    *next = logical;
    if (depth == 0) {
      *next = logical + count;
      if (*next > uint64_t{0xffffffff} + 1) return Errno(EUCLEAN);
      continue;
    }
    TRY(fs_->cache().read(block * child.size(), child.size(), child.data()));
    TRY(check_extents(child.data(), child.size(), depth - 1, next, budget));
  }
  return {};
}

Result<void> ExtMap::check_pointers(const uint32_t* blocks, size_t count, unsigned level,
                                    uint64_t* budget) {
  std::vector<uint32_t> child;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t block = blocks[i];
    if (block == 0) continue;
    if (*budget == 0 || !fs_->alloc().valid(block, 1)) return Errno(EUCLEAN);
    --*budget;
    if (level == 0) continue;
    child.resize(fs_->block_size() / sizeof(uint32_t));
    TRY(fs_->cache().read(block * fs_->block_size(), fs_->block_size(), child.data()));
    TRY(check_pointers(child.data(), child.size(), level - 1, budget));
  }
  return {};
}

Result<ExtMap::Piece> ExtMap::find(uint64_t ino, const ExtInode& inode, uint64_t at, uint64_t max) {
  TRY(check(ino, inode));
  return has_extents(inode) ? find_extent(inode, at, max) : find_pointer(inode, at, max);
}

/// The last entry of a node that starts at or before `at`; null: all start later. *next: where the
/// entry after it starts, if that is before what *next was.
const char* ExtMap::find_entry(const char* node, uint64_t at, uint64_t* next) {
  ext3_extent_header header;
  std::memcpy(&header, node, sizeof header);
  // Leaves and indexes have the same size, and begin with the first block of the file.
  const char* entries = node + sizeof header;
  const auto start_of = [entries](size_t i) {
    uint32_t start;
    std::memcpy(&start, entries + i * sizeof(ext3_extent), sizeof start);
    return start;
  };
  size_t low = 0;
  size_t high = header.eh_entries;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (start_of(middle) <= at) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low < header.eh_entries) *next = std::min<uint64_t>(*next, start_of(low));
  return low == 0 ? nullptr : entries + (low - 1) * sizeof(ext3_extent);
}

/// libext2fs isn't asked: its way to the next extent after a search (e2fsprogs 1.47.0) may lead
/// back to the first one of the same node.
Result<ExtMap::Piece> ExtMap::find_extent(const ExtInode& inode, uint64_t at, uint64_t max) {
  std::vector<char> block;
  const char* node = reinterpret_cast<const char*>(inode.i_block);
  uint64_t next = at + max;
  ext3_extent_header header;
  std::memcpy(&header, node, sizeof header);
  for (unsigned depth = header.eh_depth;; --depth) {
    const char* entry = find_entry(node, at, &next);
    if (entry == nullptr) return Piece{next - at, 0, false};
    if (depth == 0) {
      ext3_extent leaf;
      std::memcpy(&leaf, entry, sizeof leaf);
      const bool unwritten = leaf.ee_len > kMaxExtent;
      const uint64_t count = unwritten ? leaf.ee_len - kMaxExtent : leaf.ee_len;
      const uint64_t skip = at - leaf.ee_block;
      if (skip >= count) return Piece{next - at, 0, false};
      const uint64_t start = leaf.ee_start | uint64_t{leaf.ee_start_hi} << 32;
      if (!fs_->alloc().valid(start, count)) return Errno(EUCLEAN);
      return Piece{std::min(max, count - skip), start + skip, unwritten};
    }
    ext3_extent_idx index;
    std::memcpy(&index, entry, sizeof index);
    const uint64_t child = index.ei_leaf | uint64_t{index.ei_leaf_hi} << 32;
    if (!fs_->alloc().valid(child, 1)) return Errno(EUCLEAN);
    block.resize(fs_->block_size());
    TRY(fs_->cache().read(child * block.size(), block.size(), block.data()));
    std::memcpy(&header, block.data(), sizeof header);
    if (header.eh_magic != EXT3_EXT_MAGIC || header.eh_depth != depth - 1 ||
        header.eh_entries > (block.size() - sizeof header) / sizeof(ext3_extent)) {
      return Errno(EUCLEAN);
    }
    node = block.data();
  }
}

Result<ExtMap::Piece> ExtMap::find_pointer(const ExtInode& inode, uint64_t at, uint64_t max) {
  const uint64_t per = fs_->block_size() / sizeof(uint32_t);
  std::vector<uint32_t> table;
  const uint32_t* pointers = inode.i_block;
  uint64_t count = EXT2_NDIR_BLOCKS;
  uint64_t index = at;
  if (at >= EXT2_NDIR_BLOCKS) {
    // `span`: blocks below one pointer of the table that is looked at.
    uint64_t rest = at - EXT2_NDIR_BLOCKS;
    uint64_t span = 1;
    unsigned level = 1;
    for (; rest >= span * per; ++level) {
      if (level == 3) return Piece{max, 0, false};
      span *= per;
      rest -= span;
    }
    uint32_t block = inode.i_block[EXT2_NDIR_BLOCKS + level - 1];
    for (;; span /= per) {
      if (block == 0) return Piece{std::min(max, span * per - rest % (span * per)), 0, false};
      if (!fs_->alloc().valid(block, 1)) return Errno(EUCLEAN);
      table.resize(per);
      TRY(fs_->cache().read(block * fs_->block_size(), fs_->block_size(), table.data()));
      index = rest / span % per;
      if (span == 1) break;
      block = table[index];
    }
    pointers = table.data();
    count = per;
  }
  Piece piece{1, pointers[index], false};
  if (piece.block != 0 && !fs_->alloc().valid(piece.block, 1)) return Errno(EUCLEAN);
  while (piece.count < max && index + piece.count < count) {
    const uint64_t next = pointers[index + piece.count];
    if (next != (piece.block == 0 ? 0 : piece.block + piece.count)) break;
    if (next != 0 && !fs_->alloc().valid(next, 1)) break;
    ++piece.count;
  }
  return piece;
}

uint64_t ExtMap::max_size(const ExtInode& inode) const {
  const uint64_t size = fs_->block_size();
  if (has_extents(inode)) return kMaxFileBlock * size;
  const uint64_t per = size / sizeof(uint32_t);
  const uint64_t blocks = EXT2_NDIR_BLOCKS + per + per * per + per * per * per;
  // i_blocks counts sectors in 32 bits without huge_file.
  uint64_t limit = std::min(blocks, kMaxFileBlock) * size;
  if (!ext2fs_has_feature_huge_file(&fs_->super())) limit = std::min(limit, uint64_t{1} << 41);
  return limit;
}

}  // namespace viewsh
