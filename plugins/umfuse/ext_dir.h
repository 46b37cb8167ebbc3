#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ext_dir_block.h"
#include "ext_map.h"
#include "viewsh/filesystem.h"

namespace viewsh {

/// Which block of a directory may hold a name: 8 bytes for each, so that a directory with a hundred
/// thousand names takes one megabyte. It may name a block too many, never one too few.
class ExtNameTable {
 public:
  static uint32_t hash(std::string_view name);
  void add(uint32_t hash, uint32_t block);
  /// One of the pairs, if there is one.
  void remove(uint32_t hash, uint32_t block);
  /// The blocks that may hold a name with this hash, each once.
  std::vector<uint32_t> find(uint32_t hash) const;
  size_t bytes() const { return slots_.size() * sizeof(Slot); }

 private:
  struct Slot {
    uint32_t hash = 0;   ///< 0: never used
    uint32_t block = 0;  ///< kGone: was used
  };
  static constexpr uint32_t kGone = 0xffffffff;
  void grow();

  std::vector<Slot> slots_;  ///< a power of two, or none
  size_t used_ = 0;          ///< with those that are gone
};

/// The names in directories. Reads both linear and hashed ones; what is added to a hashed one makes
/// it linear (e2fsck -D makes an index again), what is removed doesn't.
class ExtDirs {
 public:
  ExtDirs(ExtFs* fs, ExtMap* map) : fs_(fs), map_(map) {}

  struct Found {
    uint32_t ino = 0;
    uint8_t type = 0;  ///< EXT2_FT_*
  };
  /// ENOENT, ENOTDIR, EUCLEAN: the name isn't there, but a part of the directory can't be read.
  Result<Found> lookup(uint64_t directory, std::string_view name);
  /// What can be read of it, without "." and "..".
  Result<std::vector<DirEntry>> list(uint64_t directory);
  Result<bool> empty(uint64_t directory);
  /// The inode that ".." names.
  Result<uint64_t> parent(uint64_t directory);

  // These change the directory's inode on disk, times included. The name must be a good one.
  /// The name must be absent. ENOSPC.
  Result<void> add(uint64_t directory, std::string_view name, uint64_t ino, mode_t mode);
  Result<void> remove(uint64_t directory, std::string_view name);
  Result<void> replace(uint64_t directory, std::string_view name, uint64_t ino, mode_t mode);
  Result<void> set_parent(uint64_t directory, uint64_t parent);
  /// The first block of a new directory; the caller stores `inode`.
  Result<void> make(uint64_t directory, ExtInode* inode, uint64_t parent);

  /// The directory is no more, or another one.
  void forget(uint64_t directory);

 private:
  /// What is known of a directory that was read once.
  struct Known {
    std::vector<uint64_t> blocks;  ///< on disk; 0: can't be read
    std::vector<uint16_t> room;    ///< as ExtEntries::room(), at most 65535
    std::vector<uint32_t> index;   ///< blocks of a hashed directory that hold no names but ".."
    ExtNameTable names;
    bool damaged = false;
    bool is_inline = false;
    size_t hint = 0;     ///< no block before it has room for a short name
    size_t counted = 0;  ///< bytes that are in total_
    std::list<uint64_t>::iterator age;
    size_t bytes() const { return names.bytes() + blocks.size() * 10 + 256; }
  };
  struct Place {
    size_t block = 0;  ///< of the directory
    std::vector<char> data;
    ExtEntry entry;  ///< refers to `data`
  };

  Result<Known*> know(uint64_t directory);
  Result<void> read_all(uint64_t directory, const ExtInode& inode, Known* known);
  void read_block(uint64_t directory, uint64_t logical, uint64_t block, Known* known);
  void count(Known* known);
  size_t limit() const;
  Result<std::vector<char>> load(const Known& known, size_t block);
  Result<void> save(uint64_t directory, Known* known, size_t block, std::vector<char>* data);
  Result<bool> find(Known* known, std::string_view name, Place* place);
  Result<void> append(uint64_t directory, ExtInode* inode, Known* known);
  Result<void> drop_index(uint64_t directory, ExtInode* inode, Known* known);
  Result<void> touch(uint64_t directory, ExtInode* inode);

  /// Calls `act` with the parts of a directory inside its inode until it says true; that is the
  /// result. What it changed is stored if `store`.
  Result<bool> each_inline(uint64_t directory, bool store,
                           const std::function<bool(ExtEntries&)>& act);
  Result<void> expand_inline(uint64_t directory);
  Result<void> change(uint64_t directory, std::string_view name, const Found* to);

  ExtFs* fs_;
  ExtMap* map_;
  std::unordered_map<uint64_t, Known> known_;
  std::list<uint64_t> ages_;  ///< the last used in front
  size_t total_ = 0;          ///< bytes of what is known
};

}  // namespace viewsh
