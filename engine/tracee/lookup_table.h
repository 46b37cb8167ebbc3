#pragma once

#include <string>
#include <string_view>

#include "tracee/answer_table.h"
#include "tracee/lookup_layout.h"
#include "viewsh/filesystem.h"
#include "viewsh/result.h"

namespace viewsh {

/// The hash of a canonical path of the view's root file system ("" is the root).
uint64_t hash_of(std::string_view path);

/// Keeps the LookupTable of a view and its AnswerTable: a file that its processes map, written
/// through a mapping of the engine's. What is said here holds in every process before the engine
/// lets any of them go on.
class SharedLookups final : public NameMarks {
 public:
  SharedLookups() = default;
  ~SharedLookups() override;
  SharedLookups(const SharedLookups&) = delete;
  SharedLookups& operator=(const SharedLookups&) = delete;
  /// Makes the file, which the caller removes. Until then all else here does nothing.
  Result<void> make(const std::string& path);
  bool made() const { return table_ != nullptr; }
  const std::string& path() const { return path_; }

  void mark_name(std::string_view path) override;
  void forget_directories() override;
  void mark_inode(uint64_t ino);
  /// A directory whose names are the host's, but those that are marked. `key`: what it is looked
  /// for by, the hash of its path or directory_key().
  void add(uint64_t key, uint64_t path);
  bool has(uint64_t key) const;
  /// Which ends all that add() said, and all answers, when it changes.
  uint64_t round() const { return table_ == nullptr ? 0 : table_->round; }
  AnswerWriter& answers() { return answers_; }

 private:
  LookupTable* table_ = nullptr;
  AnswerWriter answers_;
  std::string path_;
};

}  // namespace viewsh
