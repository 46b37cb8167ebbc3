#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ext_fs.h"

namespace viewsh {

/// An entry of a directory's block: a reference into the block's bytes.
struct ExtEntry {
  size_t offset = 0;  ///< in the block
  size_t length = 0;  ///< with the room behind the name
  uint32_t ino = 0;   ///< 0: unused
  uint8_t type = 0;   ///< EXT2_FT_*; 0 where the image doesn't say
  std::string_view name;
};

/// The bytes that an entry with a name of this length needs.
constexpr size_t ext_entry_size(size_t name_length) { return (name_length + 8 + 3) & ~size_t{3}; }

/// A block, or a part of one, that holds entries one behind the other. It owns nothing. Entries
/// whose lengths can't be end the walk.
class ExtEntries {
 public:
  ExtEntries(ext2_filsys fs, char* data, size_t size) : fs_(fs), data_(data), size_(size) {}

  /// The next entry; false: it was the last, or see bad().
  bool next(ExtEntry* entry);
  void rewind() { at_ = 0; }
  bool bad() const { return bad_; }

  /// Finds a name. False: there is none.
  bool find(std::string_view name, ExtEntry* entry);
  /// Bytes of the largest name's entry that could be added.
  size_t room();
  /// False: no room for it.
  bool add(std::string_view name, uint32_t ino, uint8_t type);
  /// The entry's bytes become room.
  void remove(const ExtEntry& entry);
  void replace(const ExtEntry& entry, uint32_t ino, uint8_t type);
  /// One unused entry, and nothing else.
  void clear();
  void set_length(size_t offset, size_t length);

 private:
  ext2_dir_entry* at(size_t offset) { return reinterpret_cast<ext2_dir_entry*>(data_ + offset); }
  void put(size_t offset, size_t length, std::string_view name, uint32_t ino, uint8_t type);

  ext2_filsys fs_;
  char* data_;
  size_t size_;
  size_t at_ = 0;
  bool bad_ = false;
};

/// EXT2_FT_* of a mode.
uint8_t ext_file_type(mode_t mode);
/// Can this be the name of something? Not empty, not "." or "..", no '/', no NUL.
bool ext_good_name(std::string_view name);

}  // namespace viewsh
