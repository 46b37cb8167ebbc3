#include "ext_dir.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "ext_error.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// Bytes that what is known of directories may take, the one in use not counted.
constexpr size_t kBound = size_t{64} << 20;
/// Where entries start in a directory inside its inode: its first bytes name the parent.
constexpr size_t kInlineStart = 4;

NodeType node_type(uint8_t file_type) {
  switch (file_type) {
    case EXT2_FT_REG_FILE:
      return NodeType::kRegular;
    case EXT2_FT_DIR:
      return NodeType::kDirectory;
    case EXT2_FT_CHRDEV:
      return NodeType::kChar;
    case EXT2_FT_BLKDEV:
      return NodeType::kBlock;
    case EXT2_FT_FIFO:
      return NodeType::kFifo;
    case EXT2_FT_SOCK:
      return NodeType::kSocket;
    case EXT2_FT_SYMLINK:
      return NodeType::kSymlink;
    default:
      return NodeType::kUnknown;
  }
}

}  // namespace

/// Bytes of a block that hold entries: a checksum stands behind them.
size_t ExtDirs::limit() const {
  const size_t size = fs_->block_size();
  return ext2fs_has_feature_metadata_csum(&fs_->super()) ? size - sizeof(ext2_dir_entry_tail)
                                                         : size;
}

/// The directory is in use, and may have grown: others go if it's too much.
void ExtDirs::count(Known* known) {
  const size_t bytes = known->bytes();
  total_ += bytes - known->counted;
  known->counted = bytes;
  while (total_ > kBound && ages_.size() > 1) forget(ages_.back());
}

void ExtDirs::forget(uint64_t directory) {
  const auto it = known_.find(directory);
  if (it == known_.end()) return;
  total_ -= it->second.counted;
  ages_.erase(it->second.age);
  known_.erase(it);
}

Result<ExtDirs::Known*> ExtDirs::know(uint64_t directory) {
  const auto it = known_.find(directory);
  if (it != known_.end()) {
    ages_.splice(ages_.begin(), ages_, it->second.age);
    return &it->second;
  }
  TRY_ASSIGN(const ExtInode inode, fs_->load(directory));
  if (!S_ISDIR(inode.i_mode)) return Errno(ENOTDIR);
  if (inode.i_flags & EXT4_ENCRYPT_FL) return Errno(ENOKEY);
  Known known;
  TRY(read_all(directory, inode, &known));
  ages_.push_front(directory);
  known.age = ages_.begin();
  Known* made = &known_.emplace(directory, std::move(known)).first->second;
  count(made);
  return made;
}

Result<void> ExtDirs::read_all(uint64_t directory, const ExtInode& inode, Known* known) {
  known->is_inline = is_inline(inode);
  if (known->is_inline) return {};
  const uint64_t size = EXT2_I_SIZE(basic(&inode));
  const uint64_t count = size / fs_->block_size();
  if (size % fs_->block_size() != 0 || count == 0 || count > ext2fs_blocks_count(&fs_->super())) {
    return Errno(EUCLEAN);
  }
  for (uint64_t at = 0; at < count;) {
    TRY_ASSIGN(const ExtMap::Piece piece, map_->find(directory, inode, at, count - at));
    for (uint64_t i = 0; i < piece.count; ++i) {
      const bool readable = piece.block != 0 && !piece.unwritten;
      read_block(directory, at + i, readable ? piece.block + i : 0, known);
    }
    at += piece.count;
  }
  return {};
}

void ExtDirs::read_block(uint64_t directory, uint64_t logical, uint64_t block, Known* known) {
  known->blocks.push_back(block);
  known->room.push_back(0);
  std::vector<char> data(fs_->block_size());
  if (block == 0 || ext2fs_read_dir_block4(fs_->lib(), block, data.data(), 0,
                                           static_cast<ext2_ino_t>(directory)) != 0) {
    known->blocks.back() = 0;
    known->damaged = true;
    return;
  }
  size_t end = limit();
  const bool checksums = end != data.size();
  auto* first = reinterpret_cast<ext2_dir_entry*>(data.data());
  if (checksums && !ext2fs_dirent_has_tail(fs_->lib(), first)) end = data.size();
  ExtEntries entries(fs_->lib(), data.data(), end);
  ExtEntry entry;
  size_t count = 0;
  while (entries.next(&entry)) {
    ++count;
    if (entry.ino == 0 || !ext_good_name(entry.name)) continue;
    known->names.add(ExtNameTable::hash(entry.name), static_cast<uint32_t>(logical));
  }
  if (entries.bad()) known->damaged = true;
  // The root of an index looks as if it held "." and ".." only, its nodes as if they were empty.
  const bool whole = count == 1 && entry.ino == 0 && entry.length == data.size();
  if (end == data.size() && checksums) {
    known->index.push_back(static_cast<uint32_t>(logical));
  } else if (!checksums && (logical == 0 ? count == 2 : whole)) {
    known->index.push_back(static_cast<uint32_t>(logical));
  }
  known->room.back() = static_cast<uint16_t>(std::min<size_t>(entries.room(), UINT16_MAX));
}

Result<std::vector<char>> ExtDirs::load(const Known& known, size_t block) {
  if (block >= known.blocks.size() || known.blocks[block] == 0) return Errno(EUCLEAN);
  std::vector<char> data(fs_->block_size());
  TRY(fs_->cache().read(known.blocks[block] * data.size(), data.size(), data.data()));
  return data;
}

Result<void> ExtDirs::save(uint64_t directory, Known* known, size_t block,
                           std::vector<char>* data) {
  TRY_EXT(ext2fs_write_dir_block4(fs_->lib(), known->blocks[block], data->data(), 0,
                                  static_cast<ext2_ino_t>(directory)));
  ExtEntries entries(fs_->lib(), data->data(), limit());
  const size_t room = std::min<size_t>(entries.room(), UINT16_MAX);
  known->room[block] = static_cast<uint16_t>(room);
  if (room >= ext_entry_size(1)) known->hint = std::min(known->hint, block);
  return {};
}

Result<bool> ExtDirs::find(Known* known, std::string_view name, Place* place) {
  for (const uint32_t block : known->names.find(ExtNameTable::hash(name))) {
    TRY_ASSIGN(place->data, load(*known, block));
    ExtEntries entries(fs_->lib(), place->data.data(), limit());
    if (!entries.find(name, &place->entry)) continue;
    place->block = block;
    return true;
  }
  return false;
}

Result<bool> ExtDirs::each_inline(uint64_t directory, bool store,
                                  const std::function<bool(ExtEntries&)>& act) {
  TRY_ASSIGN(std::vector<char> data, ext_load_inline(fs_, directory));
  const size_t split = EXT4_MIN_INLINE_DATA_SIZE;
  ExtEntries parts[] = {ExtEntries(fs_->lib(), data.data() + kInlineStart, split - kInlineStart),
                        ExtEntries(fs_->lib(), data.data() + split, data.size() - split)};
  for (ExtEntries& part : parts) {
    if (!act(part)) continue;
    if (store) TRY(ext_save_inline(fs_, directory, &data));
    return true;
  }
  return false;
}

Result<ExtDirs::Found> ExtDirs::lookup(uint64_t directory, std::string_view name) {
  TRY_ASSIGN(Known * known, know(directory));
  Found found;
  if (known->is_inline) {
    TRY_ASSIGN(const bool there, each_inline(directory, false, [&](ExtEntries& part) {
                 ExtEntry entry;
                 if (!part.find(name, &entry)) return false;
                 found = {entry.ino, entry.type};
                 return true;
               }));
    if (!there) return Errno(ENOENT);
    return found;
  }
  Place place;
  TRY_ASSIGN(const bool there, find(known, name, &place));
  if (!there) return Errno(known->damaged ? EUCLEAN : ENOENT);
  return Found{place.entry.ino, place.entry.type};
}

Result<std::vector<DirEntry>> ExtDirs::list(uint64_t directory) {
  TRY_ASSIGN(Known * known, know(directory));
  std::vector<DirEntry> all;
  std::unordered_set<std::string> seen;
  const auto collect = [&](ExtEntries& entries) {
    ExtEntry entry;
    entries.rewind();
    while (entries.next(&entry)) {
      if (entry.ino == 0 || entry.ino > fs_->super().s_inodes_count || !ext_good_name(entry.name) ||
          !seen.emplace(entry.name).second) {
        continue;
      }
      all.push_back({std::string(entry.name), entry.ino, node_type(entry.type)});
    }
    return false;
  };
  if (known->is_inline) {
    TRY(each_inline(directory, false, collect));
    return all;
  }
  for (size_t i = 0; i < known->blocks.size(); ++i) {
    if (known->blocks[i] == 0) continue;
    TRY_ASSIGN(std::vector<char> data, load(*known, i));
    ExtEntries entries(fs_->lib(), data.data(), limit());
    collect(entries);
  }
  return all;
}

Result<bool> ExtDirs::empty(uint64_t directory) {
  TRY_ASSIGN(Known * known, know(directory));
  if (known->damaged) return Errno(EUCLEAN);
  TRY_ASSIGN(const auto names, list(directory));
  return names.empty();
}

Result<uint64_t> ExtDirs::parent(uint64_t directory) {
  TRY_ASSIGN(Known * known, know(directory));
  uint32_t ino = 0;
  if (known->is_inline) {
    TRY_ASSIGN(const std::vector<char> data, ext_load_inline(fs_, directory));
    std::memcpy(&ino, data.data(), sizeof ino);
  } else {
    TRY_ASSIGN(std::vector<char> data, load(*known, 0));
    ExtEntries entries(fs_->lib(), data.data(), data.size());
    ExtEntry entry;
    if (!entries.find("..", &entry)) return Errno(EUCLEAN);
    ino = entry.ino;
  }
  if (ino == 0 || ino > fs_->super().s_inodes_count) return Errno(EUCLEAN);
  return uint64_t{ino};
}

}  // namespace viewsh
