#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vfs/walk.h"

namespace viewsh {

struct ListedEntry {
  std::string name;
  uint64_t ino = 0;
  NodeType type = NodeType::kUnknown;
  uint64_t next = 0;  ///< the position after it: what d_off and lseek(2) say
};

/// The listing of a directory that no single host directory has. Entries are ordered by a hash of
/// their names, and a position is such a hash: so a reader keeps its place while names come and go,
/// telldir(3) and seekdir(3) work, and nothing has to be remembered between two calls.
class Listing {
 public:
  /// `entries` without dots; `dot` and `dotdot` are the inode numbers of the two.
  Listing(std::vector<DirEntry> entries, uint64_t dot, uint64_t dotdot);
  using Iterator = std::vector<ListedEntry>::const_iterator;
  /// The first entry at or behind a position.
  Iterator from(uint64_t position) const;
  Iterator end() const { return entries_.end(); }

 private:
  std::vector<ListedEntry> entries_;
};

/// The listing of a directory of the view. `fresh`: read it anew (the reader is at its beginning);
/// otherwise one that was made lately may serve. The pointer is valid until the next call.
Result<const Listing*> listing_of(const View& view, const Walked& walked, bool fresh);

}  // namespace viewsh
