#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
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
  /// The entry of a name; end(): there is none.
  Iterator find(std::string_view name) const;
  /// Was this position given by a Listing, and not by a host's file system?
  static bool is_position(uint64_t position);

 private:
  std::vector<ListedEntry> entries_;
};

/// The listing of a directory of the view. `fresh`: read it anew (the reader is at its beginning);
/// otherwise one that was made lately may serve. The pointer is valid until the next call.
Result<const Listing*> listing_of(const View& view, const Walked& walked, bool fresh);

}  // namespace viewsh
