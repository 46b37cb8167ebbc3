#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>

namespace viewsh {

/// What the engine and the code that it puts into processes (lookup_code.cc) both know: how paths
/// are hashed, and the tables that say which names are the host's own. Freestanding.

/// A call of the program's that looks a name up is not stopped with this sixth argument, at which
/// the kernel doesn't look. Whoever else says it sees the host's names instead of the view's, which
/// is why only views that hide nothing of the host have such a filter; and nothing can be opened
/// for writing by it.
inline constexpr uint64_t kNativeLookup = 0x7661'7473'6c6f'6f6b;

/// Flags of open(2) with which it stops in any case.
inline constexpr uint32_t kNoNativeOpen = ~static_cast<uint32_t>(
    O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | 0100000 | O_NOATIME);

/// A path is hashed from "" on, a '/' in front of each component (FNV-1a, 64 bits). So the hash of
/// a directory leads on to those of its names.
inline constexpr uint64_t kNoPath = 0xcbf2'9ce4'8422'2325;

inline constexpr uint64_t extend(uint64_t hash, char byte) {
  return (hash ^ static_cast<uint8_t>(byte)) * 0x0000'0100'0000'01b3;
}

inline constexpr uint64_t mixed(uint64_t value) {
  value *= 0x9e37'79b9'7f4a'7c15;
  return value ^ value >> 32;
}

struct HashedName {
  uint64_t dir = 0;    ///< of the path without its last component
  uint64_t name = 0;   ///< of the whole path
  bool whole = false;  ///< it ends in a slash or a '.': both are of the directory that it has to be
};

/// Follows `text` from the directory that has `base`. False: it is empty, or goes up, or is longer
/// than a path may be.
inline bool hash_path(const char* text, uint64_t base, HashedName* out) {
  constexpr size_t kLongest = 4096;
  const char* const end = text + kLongest;
  uint64_t dir = base;
  bool any = false;
  while (true) {
    for (; *text == '/'; ++text) any = true;
    if (*text == '\0' || text >= end) break;
    uint64_t hash = extend(dir, '/');
    size_t size = 0;
    for (; text[size] != '\0' && text[size] != '/'; ++size) {
      if (text + size >= end) return false;
      hash = extend(hash, text[size]);
    }
    const bool here = size == 1 && text[0] == '.';
    if (size == 2 && text[0] == '.' && text[1] == '.') return false;
    text += size;
    any = true;
    if (*text == '\0' && !here) {
      *out = {dir, hash, false};
      return true;
    }
    if (!here) dir = hash;
  }
  *out = {dir, dir, true};
  return any && text < end;
}

/// The key of an open directory: by what the kernel tells of it.
inline constexpr uint64_t directory_key(uint64_t dev, uint64_t ino) {
  return mixed(ino + 1) ^ mixed(dev + 0x5bd1);
}

/// One for all processes of a view, in memory that they share; only the engine writes it.
struct LookupTable {
  static constexpr size_t kBits = size_t{1} << 20;
  static constexpr size_t kEntries = size_t{1} << 13;
  static constexpr size_t kProbes = 4;

  /// A directory whose names are the host's, but those that are marked.
  struct Entry {
    uint64_t round = 0;  ///< it holds if this is the table's
    uint64_t key = 0;    ///< hash of the path, or directory_key()
    uint64_t path = 0;   ///< hash of the path
  };

  uint64_t round = 1;
  uint64_t reserved[7] = {};
  uint8_t names[kBits / 8] = {};   ///< marks by the paths' hashes; two for each path
  uint8_t lists[kBits / 8] = {};   ///< the same, of directories with marked names
  uint8_t inodes[kBits / 8] = {};  ///< marks by the low bits of inode numbers
  Entry entries[kEntries] = {};

  static constexpr size_t first_bit(uint64_t path) { return mixed(path) >> 44; }
  static constexpr size_t second_bit(uint64_t path) { return mixed(path) % kBits; }
  static constexpr size_t inode_bit(uint64_t ino) { return ino % kBits; }
  static constexpr size_t slot(uint64_t key, size_t probe) {
    return (mixed(key) + probe) % kEntries;
  }
};

inline constexpr size_t kLookupTableSize = (sizeof(LookupTable) + 4095) & ~size_t{4095};

/// Directories that a process opened below those of the table, where nothing is marked: so all
/// below is as it is on the host. Behind the table; the process writes it itself, maybe by several
/// threads at once.
struct LookupCache {
  static constexpr size_t kEntries = 1024;
  static constexpr size_t kProbes = 2;
  struct Entry {
    uint64_t round = 0;
    uint64_t key = 0;    ///< directory_key()
    uint64_t path = 0;   ///< hash of the path
    uint64_t check = 0;  ///< sum of the others: all were written by one
  };
  Entry entries[kEntries] = {};

  static constexpr uint64_t sum(uint64_t round, uint64_t key, uint64_t path) {
    return mixed(key) ^ mixed(path + round);
  }
  static constexpr size_t slot(uint64_t key, size_t probe) {
    return (mixed(key) + probe) % kEntries;
  }
};

/// What the code in one process needs; only the engine writes it.
struct LookupData {
  uint64_t cwd = 0;           ///< hash of the working directory's path; 0: not to be looked up from
  uint64_t enabled = 0;       ///< 0: every call stops
  uint64_t native = 0;        ///< calls with kNativeLookup don't stop
  uint64_t answers = 0;       ///< where the AnswerTable is; 0: nowhere
  uint64_t cwd_dev = 0;       ///< the working directory's st_dev
  uint64_t cwd_ino = 0;       ///< and st_ino; 0: not to be looked up from
  char table_path[240] = {};  ///< host path of the table's file, while it is mapped
};

}  // namespace viewsh
