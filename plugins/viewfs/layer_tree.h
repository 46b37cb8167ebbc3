#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "layer_record.h"

namespace viewsh::viewfs {

/// A name of upper/ or links/ as a snapshot remembers it. What an inode shared with the view may
/// change in place (mode, owner, times, xattrs) is written down here; only the content is the
/// object's.
struct TreeEntry {
  NodeType type = NodeType::kUnknown;
  bool anchor = false;  ///< a name of links/, else of upper/
  std::string path;     ///< "" is upper/ itself
  uint32_t mode = 0;    ///< permission bits
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;
  FileTime atime;
  FileTime mtime;
  uint32_t object =
      0;  ///< SnapshotTree::object(); names of one inode have the same. Not for directories
  std::map<std::string, std::string> xattrs;
};

class Index;
class Survey;

/// What upper/ and links/ held, parents before what is in them.
struct SnapshotTree {
  int64_t taken = 0;  ///< nanoseconds since the epoch
  uint64_t bytes = 0;
  uint64_t changes = 0;
  bool shelved = false;  ///< the objects are in kShelves directories
  std::vector<TreeEntry> entries;
  std::unordered_map<std::string, size_t> upper;  ///< index of an entry of upper/ by its path

  /// Where in objects/ a number is.
  std::string object(uint32_t number) const {
    const std::string name = std::to_string(number);
    return shelved ? shelf(number % kShelves) + "/" + name : name;
  }
  /// Names are added to one directory one after the other, to several at the same time.
  static constexpr uint32_t kShelves = 16;
  static constexpr uint32_t kManyObjects = 1024;  ///< above, there are shelves
  static std::string shelf(uint32_t number) { return std::string(1, "0123456789abcdef"[number]); }

  const TreeEntry* find(const std::string& path) const {
    const auto it = upper.find(path);
    return it == upper.end() ? nullptr : &entries[it->second];
  }
};

/// Reads upper/ and links/. Every inode that isn't a directory gets a name in `objects_fd`: another
/// link where that can be, else a copy; the directories of the names are on disk then. `objects_fd`
/// -1: they are only looked at. `index`, `survey`: what is known of upper/ already. EMLINK,
/// ENOSPC...
Result<void> scan_tree(int upper_fd, int links_fd, int objects_fd, const Index& index,
                       const Survey& survey, SnapshotTree* tree);
/// The reverse into two empty directories. `notes`: a line for what could not be set.
Result<void> build_tree(const SnapshotTree& tree, int objects_fd, int upper_fd, int links_fd,
                        std::vector<std::string>* notes);

std::string encode_tree(const SnapshotTree& tree);
/// Empty, or what is wrong.
std::string decode_tree(std::string_view text, SnapshotTree* tree);

/// A copy with content and attributes as a new name; what its owner can't read, too.
Result<void> copy_object(int from_fd, const std::string& from, int to_fd, const std::string& to);

/// Attributes of an entry in the form of statx(2), as far as they are known.
Attr attr_of(const TreeEntry& entry);

}  // namespace viewsh::viewfs
