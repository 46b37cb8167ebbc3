#pragma once

#include <string_view>

#include "tracee/answer_layout.h"
#include "viewsh/filesystem.h"

namespace viewsh {

/// Writes an AnswerTable, of which others read at the same time.
class AnswerWriter {
 public:
  AnswerWriter() = default;
  /// `round`: the one that is valid. Neither is owned.
  AnswerWriter(AnswerTable* table, const uint64_t* round) : table_(table), round_(round) {}

  /// Is it too long for an entry?
  static bool fits(std::string_view text) { return text.size() < AnswerTable::kTextSize; }
  bool has(uint64_t dev, uint64_t ino, std::string_view text) const;
  /// What lstat(2) says of `text`, a path from the directory open as `dev`, `ino` on, or if it is
  /// empty fstat(2) of that object. `attr` null: `error`, a positive number.
  void add(uint64_t dev, uint64_t ino, std::string_view text, const Attr* attr, int error = 0);
  /// There is no such object any more.
  void forget(uint64_t dev, uint64_t ino);

 private:
  AnswerTable::Entry* find(uint64_t dev, uint64_t ino, std::string_view text) const;

  AnswerTable* table_ = nullptr;
  const uint64_t* round_ = nullptr;
};

}  // namespace viewsh
