#include "ext_dir_block.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

namespace viewsh {

bool ExtEntries::next(ExtEntry* entry) {
  if (at_ >= size_ || bad_) return false;
  unsigned length = 0;
  if (size_ - at_ < 8 || ext2fs_get_rec_len(fs_, at(at_), &length) != 0 || length < 8 ||
      length % 4 != 0 || length > size_ - at_) {
    bad_ = true;
    return false;
  }
  const auto name = static_cast<size_t>(ext2fs_dirent_name_len(at(at_)));
  if (name + 8 > length) {
    bad_ = true;
    return false;
  }
  entry->offset = at_;
  entry->length = length;
  entry->ino = at(at_)->inode;
  entry->type = static_cast<uint8_t>(ext2fs_dirent_file_type(at(at_)));
  entry->name = std::string_view(data_ + at_ + 8, name);
  at_ += length;
  return true;
}

bool ExtEntries::find(std::string_view name, ExtEntry* entry) {
  rewind();
  while (next(entry)) {
    if (entry->ino != 0 && entry->name == name) return true;
  }
  return false;
}

size_t ExtEntries::room() {
  rewind();
  size_t most = 0;
  ExtEntry entry;
  while (next(&entry)) {
    const size_t used = entry.ino == 0 ? 0 : ext_entry_size(entry.name.size());
    if (entry.length > used) most = std::max(most, entry.length - used);
  }
  return bad_ ? 0 : most;
}

void ExtEntries::put(size_t offset, size_t length, std::string_view name, uint32_t ino,
                     uint8_t type) {
  ext2_dir_entry* entry = at(offset);
  std::memset(entry, 0, 8);
  entry->inode = ino;
  ext2fs_set_rec_len(fs_, static_cast<unsigned>(length), entry);
  ext2fs_dirent_set_name_len(entry, static_cast<int>(name.size()));
  ext2fs_dirent_set_file_type(entry, type);
  std::memcpy(data_ + offset + 8, name.data(), name.size());
}

bool ExtEntries::add(std::string_view name, uint32_t ino, uint8_t type) {
  const size_t need = ext_entry_size(name.size());
  rewind();
  ExtEntry entry;
  while (next(&entry)) {
    const size_t used = entry.ino == 0 ? 0 : ext_entry_size(entry.name.size());
    if (entry.length < used + need) continue;
    if (used != 0) set_length(entry.offset, used);
    put(entry.offset + used, entry.length - used, name, ino, type);
    return true;
  }
  return false;
}

void ExtEntries::remove(const ExtEntry& gone) {
  rewind();
  ExtEntry entry;
  ExtEntry before;
  while (next(&entry) && entry.offset < gone.offset) before = entry;
  if (gone.offset != 0 && before.offset + before.length == gone.offset) {
    set_length(before.offset, before.length + gone.length);
  }
  at(gone.offset)->inode = 0;
}

void ExtEntries::replace(const ExtEntry& entry, uint32_t ino, uint8_t type) {
  at(entry.offset)->inode = ino;
  ext2fs_dirent_set_file_type(at(entry.offset), type);
}

void ExtEntries::clear() {
  std::memset(data_, 0, size_);
  set_length(0, size_);
}

void ExtEntries::set_length(size_t offset, size_t length) {
  ext2fs_set_rec_len(fs_, static_cast<unsigned>(length), at(offset));
}

uint8_t ext_file_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EXT2_FT_REG_FILE;
    case S_IFDIR:
      return EXT2_FT_DIR;
    case S_IFCHR:
      return EXT2_FT_CHRDEV;
    case S_IFBLK:
      return EXT2_FT_BLKDEV;
    case S_IFIFO:
      return EXT2_FT_FIFO;
    case S_IFSOCK:
      return EXT2_FT_SOCK;
    case S_IFLNK:
      return EXT2_FT_SYMLINK;
    default:
      return EXT2_FT_UNKNOWN;
  }
}

bool ext_good_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace viewsh
