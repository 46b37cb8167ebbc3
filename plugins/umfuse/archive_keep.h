#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "image.h"
#include "pace.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// Contents of files that were unpacked on the way to another one, until somebody wants them. In
/// one nameless file of a scratch directory, up to a number of bytes; when that is reached, all of
/// them are forgotten and the next begin anew.
class ArchiveKeep {
 public:
  ArchiveKeep(std::function<Result<std::string>()> scratch, uint64_t limit)
      : scratch_(std::move(scratch)), limit_(limit) {}

  bool has(NodeId node) const { return kept_.count(node) != 0; }
  /// Room for a content: a file and a place in it that is nobody's. Nothing is kept before
  /// commit(). ENOSPC: it is too big, or there is no room at all.
  struct Slot {
    int fd = -1;
    uint64_t at = 0;
  };
  Result<Slot> reserve(uint64_t size);
  void commit(NodeId node, const Slot& slot, uint64_t size);
  /// Writes a content into the empty file `to`, and forgets it.
  Result<void> take(NodeId node, int to, Pace* pace);

 private:
  struct Extent {
    uint64_t at = 0;
    uint64_t size = 0;
  };
  std::function<Result<std::string>()> scratch_;
  uint64_t limit_;
  UniqueFd fd_;
  bool broken_ = false;  ///< there is no place for it
  uint64_t end_ = 0;
  std::unordered_map<NodeId, Extent> kept_;
};

/// Copies a part of a file to the start of another one; EUCLEAN where `from` ends too early.
Result<void> copy_part(int from, uint64_t at, uint64_t size, int to, Pace* pace);

}  // namespace viewsh
