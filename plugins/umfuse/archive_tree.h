#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image.h"

namespace viewsh {

/// What an archive says of a node, and where its content is.
struct ArchiveNode {
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  uint32_t links = 0;  ///< 0: no name leads here any more
  dev_t rdev = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  ///< of 512 bytes
  timespec mtime = {};
  timespec atime = {};
  timespec ctime = {};
  timespec btime = {};
  bool has_btime = false;
  bool own_entry = false;  ///< false: a directory that only its children's names tell of
  uint64_t ordinal = 0;    ///< which entry has the content, from 1; 0: none
  int64_t data_at = -1;    ///< where the content is in the source as it is
  int64_t entry_at = -1;   ///< where a pass that reads only this entry can begin
  NodeId parent = 0;       ///< of a directory
  std::string target;      ///< of a symbolic link
  std::unique_ptr<std::map<std::string, std::string>> xattrs;
  std::unique_ptr<std::map<std::string, NodeId, std::less<>>> children;  ///< of a directory

  bool is_dir() const { return S_ISDIR(mode); }
};

/// The tree of an archive's entries, with names put into canonical form. Later entries replace
/// earlier ones of the same name, as if they were unpacked.
class ArchiveTree {
 public:
  static constexpr NodeId kRoot = 1;
  static constexpr uint64_t kMostNodes = uint64_t{1} << 22;
  static constexpr uint64_t kMostMemory = uint64_t{512} << 20;

  /// `plain`: a directory that is not in the archive itself.
  explicit ArchiveTree(ArchiveNode plain);

  /// What became of an entry.
  enum class Taken : uint8_t {
    kYes,
    kLeftOut,  ///< its name, or what it links to, can't be in the tree
    kFull,     ///< too many, or too much memory
  };
  /// `path`: as the archive has it. The node of what was taken is `last()`.
  Taken add(std::string_view path, ArchiveNode node);
  /// Another name for the node at `target`, which takes over the content of `node` if there is any.
  Taken add_link(std::string_view path, std::string_view target, const ArchiveNode& node);

  /// ESTALE.
  Result<const ArchiveNode*> node(NodeId id) const;
  ArchiveNode& at(NodeId id) { return nodes_[id - 1]; }
  /// All numbers that were given out are at most this; some may be gone.
  NodeId highest() const { return nodes_.size(); }
  uint64_t count() const { return count_; }

 private:
  struct Place {
    NodeId dir = 0;
    std::string name;
  };
  /// The directory of a path, made if it has to be, and its last name. `dir` 0: it can't be there;
  /// name empty: the root.
  Place place_of(std::string_view path, Taken* taken);
  NodeId find(std::string_view path) const;
  NodeId make(ArchiveNode node);
  void put(const Place& place, NodeId id);
  bool remove(const Place& place);
  bool charge(uint64_t bytes);

  ArchiveNode plain() const;
  std::vector<ArchiveNode> nodes_;
  mode_t plain_mode_;
  uid_t plain_uid_;
  gid_t plain_gid_;
  timespec plain_time_;
  uint64_t count_ = 0;
  uint64_t memory_ = 0;
};

}  // namespace viewsh
