#pragma once

#include <cstddef>
#include <cstdint>

#include "tracee/lookup_layout.h"

namespace viewsh {

/// What file systems that never change said of names and of open objects, for all processes of a
/// view, in memory that they share and only the engine writes. Behind the LookupTable in its file.
/// Freestanding.
struct AnswerTable {
  static constexpr size_t kEntries = size_t{1} << 15;
  static constexpr size_t kProbes = 8;
  /// Bytes of a struct statx that are kept; behind them it has to be 0.
  static constexpr size_t kAttrSize = 160;
  static constexpr size_t kTextSize = 56;

  /// Texts are kept and compared as they are: nobody makes one that is taken for another.
  struct Entry {
    uint64_t version = 0;    ///< odd: it is being written
    uint64_t round = 0;      ///< it holds if this is the LookupTable's
    uint64_t dev = 0;        ///< st_dev and st_ino of the object that is open: the directory, or
    uint64_t ino = 0;        ///< where there is no text, what is told of
    int32_t result = 0;      ///< 0, or the error
    uint32_t size = 0;       ///< of the text, without the 0 behind it
    char text[kTextSize]{};  ///< a name, or names with a '/' between them
    uint8_t attr[kAttrSize]{};
  };

  Entry entries[kEntries];

  static size_t slot(uint64_t dev, uint64_t ino, uint64_t text_hash, size_t probe) {
    return (mixed(directory_key(dev, ino) ^ mixed(text_hash)) + probe) % kEntries;
  }
};
static_assert(sizeof(AnswerTable::Entry) == 256);

inline constexpr size_t kAnswerTableSize = sizeof(AnswerTable);

/// Of the `size` bytes of a text, which is no secret and need not be without collisions.
inline uint64_t hash_of_text(const char* text, size_t size) {
  uint64_t hash = kNoPath;
  for (size_t i = 0; i < size; ++i) hash = extend(hash, text[i]);
  return hash;
}

}  // namespace viewsh
