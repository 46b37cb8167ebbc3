#pragma once

#include <string>

#include "merge_tree.h"

namespace viewsh {

/// Makes nodes of later sources anew in the first one, so that they can be changed there. Each is
/// there as a whole or not at all: files appear by a rename. The inode number that was shown stays.
class MergeCopy {
 public:
  explicit MergeCopy(MergeTree& tree) : tree_(tree) {}

  /// Makes the directory at `path` and those above it. Errors as mkdir(2).
  Result<void> directory(const std::string& path);
  /// Makes the node at `path`, with the directories above it. With `content` false a regular file
  /// is left empty. Nothing to do for a node of the first source.
  Result<void> node(const std::string& path, bool content);

 private:
  Result<void> one_directory(const std::string& path, const MergeHit& hit);
  Result<void> file(const std::string& path, const MergeHit& hit, const Attr& attr, bool content);
  Result<void> fill(const std::string& temp, const std::string& path, const MergeHit& hit,
                    const Attr& attr, bool content);
  Result<void> special(const std::string& path, const MergeHit& hit, const Attr& attr);
  Result<void> same_attributes(const std::string& path, const Attr& attr);

  MergeTree& tree_;
  unsigned counter_ = 0;
};

}  // namespace viewsh
