#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "ext_dir.h"
#include "ext_error.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {

Result<void> ExtDirs::touch(uint64_t directory, ExtInode* inode) {
  const timespec now = ext_now();
  ext_set_time(*fs_, inode, ExtTime::kModify, now);
  ext_set_time(*fs_, inode, ExtTime::kChange, now);
  return fs_->store(directory, *inode);
}

/// One more block; `inode` isn't stored.
Result<void> ExtDirs::append(uint64_t directory, ExtInode* inode, Known* known) {
  const uint64_t size = fs_->block_size();
  const uint64_t count = known->blocks.size();
  if ((count + 1) * size > UINT32_MAX && !ext2fs_has_feature_largedir(&fs_->super())) {
    return Errno(ENOSPC);
  }
  TRY_ASSIGN(const ExtMap::Piece piece, map_->fill(directory, inode, count, 1, false));
  TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(inode),
                                static_cast<ext2_off64_t>((count + 1) * size)));
  std::vector<char> data(size);
  ExtEntries entries(fs_->lib(), data.data(), limit());
  entries.clear();
  if (limit() != size) {
    ext2fs_initialize_dirent_tail(fs_->lib(),
                                  reinterpret_cast<ext2_dir_entry_tail*>(data.data() + limit()));
  }
  known->blocks.push_back(piece.block);
  known->room.push_back(0);
  return save(directory, known, count, &data);
}

/// A hashed directory becomes a linear one: what was index becomes blocks without names.
Result<void> ExtDirs::drop_index(uint64_t directory, ExtInode* inode, Known* known) {
  for (const uint32_t block : known->index) {
    TRY_ASSIGN(std::vector<char> data, load(*known, block));
    const size_t keep = block == 0 ? ext_entry_size(1) + ext_entry_size(2) : 0;
    ExtEntries head(fs_->lib(), data.data(), data.size());
    ExtEntry dot;
    ExtEntry dotdot;
    if (block == 0 && (!head.next(&dot) || !head.next(&dotdot) || dot.name != "." ||
                       dotdot.name != ".." || dot.length != ext_entry_size(1))) {
      return Errno(EUCLEAN);
    }
    std::memset(data.data() + keep, 0, data.size() - keep);
    head.set_length(block == 0 ? dot.length : 0, limit() - (block == 0 ? dot.length : 0));
    if (limit() != data.size()) {
      ext2fs_initialize_dirent_tail(fs_->lib(),
                                    reinterpret_cast<ext2_dir_entry_tail*>(data.data() + limit()));
    }
    TRY(save(directory, known, block, &data));
  }
  known->index.clear();
  inode->i_flags &= ~static_cast<uint32_t>(EXT2_INDEX_FL);
  return fs_->store(directory, *inode);
}

/// The block has room for "." and "..", which a directory inside its inode doesn't have.
Result<void> ExtDirs::expand_inline(uint64_t directory) {
  TRY_ASSIGN(std::vector<char> data, ext_load_inline(fs_, directory));
  uint32_t parent = 0;
  std::memcpy(&parent, data.data(), sizeof parent);
  std::vector<char> block(fs_->block_size());
  ExtEntries entries(fs_->lib(), block.data(), limit());
  entries.clear();
  const bool typed = ext2fs_has_feature_filetype(&fs_->super());
  entries.add(".", static_cast<uint32_t>(directory), typed ? EXT2_FT_DIR : 0);
  entries.add("..", parent, typed ? EXT2_FT_DIR : 0);
  TRY(each_inline(directory, false, [&](ExtEntries& part) {
    ExtEntry entry;
    while (part.next(&entry)) {
      if (entry.ino != 0) entries.add(entry.name, entry.ino, entry.type);
    }
    return false;
  }));
  if (limit() != block.size()) {
    ext2fs_initialize_dirent_tail(fs_->lib(),
                                  reinterpret_cast<ext2_dir_entry_tail*>(block.data() + limit()));
  }
  TRY(ext_move_out(fs_, map_, directory, &block));
  forget(directory);
  return {};
}

Result<void> ExtDirs::add(uint64_t directory, std::string_view name, uint64_t ino, mode_t mode) {
  TRY_ASSIGN(Known * known, know(directory));
  if (known->is_inline) {
    TRY(expand_inline(directory));
    TRY_ASSIGN(known, know(directory));
  }
  if (known->damaged) return Errno(EUCLEAN);
  TRY_ASSIGN(ExtInode inode, fs_->load(directory));
  if (inode.i_flags & EXT2_INDEX_FL) TRY(drop_index(directory, &inode, known));
  const size_t need = ext_entry_size(name.size());
  size_t block = known->hint;
  bool passed = false;  // a block with room for a short name
  for (; block < known->blocks.size() && known->room[block] < need; ++block) {
    if (known->room[block] < ext_entry_size(1) && !passed) known->hint = block;
    if (known->room[block] >= ext_entry_size(1)) passed = true;
  }
  if (block == known->blocks.size()) TRY(append(directory, &inode, known));
  TRY_ASSIGN(std::vector<char> data, load(*known, block));
  ExtEntries entries(fs_->lib(), data.data(), limit());
  const uint8_t type = ext2fs_has_feature_filetype(&fs_->super()) ? ext_file_type(mode) : 0;
  if (!entries.add(name, static_cast<uint32_t>(ino), type)) return Errno(EUCLEAN);
  TRY(save(directory, known, block, &data));
  known->names.add(ExtNameTable::hash(name), static_cast<uint32_t>(block));
  count(known);
  return touch(directory, &inode);
}

/// `to`: what the name leads to from now on; null: it goes.
Result<void> ExtDirs::change(uint64_t directory, std::string_view name, const Found* to) {
  TRY_ASSIGN(Known * known, know(directory));
  const auto act = [to](ExtEntries& entries, const ExtEntry& entry) {
    if (to != nullptr) {
      entries.replace(entry, to->ino, to->type);
    } else {
      entries.remove(entry);
    }
  };
  if (known->is_inline) {
    TRY_ASSIGN(const bool there, each_inline(directory, true, [&](ExtEntries& part) {
                 ExtEntry entry;
                 if (!part.find(name, &entry)) return false;
                 act(part, entry);
                 return true;
               }));
    if (!there) return Errno(ENOENT);
  } else {
    Place place;
    TRY_ASSIGN(const bool there, find(known, name, &place));
    if (!there) return Errno(ENOENT);
    ExtEntries entries(fs_->lib(), place.data.data(), limit());
    act(entries, place.entry);
    TRY(save(directory, known, place.block, &place.data));
    if (to == nullptr) {
      known->names.remove(ExtNameTable::hash(name), static_cast<uint32_t>(place.block));
    }
  }
  TRY_ASSIGN(ExtInode inode, fs_->load(directory));
  return touch(directory, &inode);
}

Result<void> ExtDirs::remove(uint64_t directory, std::string_view name) {
  return change(directory, name, nullptr);
}

Result<void> ExtDirs::replace(uint64_t directory, std::string_view name, uint64_t ino,
                              mode_t mode) {
  const bool typed = ext2fs_has_feature_filetype(&fs_->super());
  const Found to{static_cast<uint32_t>(ino), typed ? ext_file_type(mode) : uint8_t{0}};
  return change(directory, name, &to);
}

Result<void> ExtDirs::set_parent(uint64_t directory, uint64_t parent) {
  TRY_ASSIGN(Known * known, know(directory));
  const auto ino = static_cast<uint32_t>(parent);
  if (known->is_inline) {
    TRY_ASSIGN(std::vector<char> data, ext_load_inline(fs_, directory));
    std::memcpy(data.data(), &ino, sizeof ino);
    return ext_save_inline(fs_, directory, &data);
  }
  TRY_ASSIGN(std::vector<char> data, load(*known, 0));
  // The whole block: in the root of an index ".." reaches to its end.
  ExtEntries entries(fs_->lib(), data.data(), data.size());
  ExtEntry entry;
  if (!entries.find("..", &entry)) return Errno(EUCLEAN);
  entries.replace(entry, ino, entry.type);
  TRY_EXT(ext2fs_write_dir_block4(fs_->lib(), known->blocks[0], data.data(), 0,
                                  static_cast<ext2_ino_t>(directory)));
  return {};
}

Result<void> ExtDirs::make(uint64_t directory, ExtInode* inode, uint64_t parent) {
  forget(directory);
  TRY(map_->start(inode, 0));
  map_->forget(directory);
  TRY_ASSIGN(const ExtMap::Piece piece, map_->fill(directory, inode, 0, 1, false));
  const size_t size = fs_->block_size();
  std::vector<char> data(size);
  ExtEntries entries(fs_->lib(), data.data(), limit());
  entries.clear();
  const uint8_t type = ext2fs_has_feature_filetype(&fs_->super()) ? EXT2_FT_DIR : 0;
  entries.add(".", static_cast<uint32_t>(directory), type);
  entries.add("..", static_cast<uint32_t>(parent), type);
  if (limit() != size) {
    ext2fs_initialize_dirent_tail(fs_->lib(),
                                  reinterpret_cast<ext2_dir_entry_tail*>(data.data() + limit()));
  }
  TRY_EXT(ext2fs_inode_size_set(fs_->lib(), basic(inode), static_cast<ext2_off64_t>(size)));
  // Its checksum depends on the inode's generation.
  TRY(fs_->store(directory, *inode));
  TRY_EXT(ext2fs_write_dir_block4(fs_->lib(), piece.block, data.data(), 0,
                                  static_cast<ext2_ino_t>(directory)));
  return {};
}

}  // namespace viewsh
