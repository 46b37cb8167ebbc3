#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh::crash {

/// A node of the recorded tree; numbers aren't used twice.
using Id = uint64_t;

/// What a call that was recorded did to the disk.
struct Op {
  enum class Kind {
    kMake,      ///< `node`, with `attr` and the link text in `data`, as `name` in `dir`
    kLink,      ///< `node` gets `name` in `dir`
    kRemove,    ///< `name` of `dir` goes
    kRename,    ///< `name` of `dir` to `to_name` of `to_dir`
    kExchange,  ///< the two change places
    kWrite,     ///< `data` at `offset` of `node`
    kTruncate,  ///< `node` has `offset` bytes from now on
    kSync,      ///< the content of `node`
    kSyncAll,
    kAttr,  ///< nothing but `attrs`
  };
  Kind kind = Kind::kAttr;
  Id dir = 0;
  std::string name;
  Id to_dir = 0;
  std::string to_name;
  Id node = 0;
  uint64_t offset = 0;
  std::string data;
  Attr attr{};
  struct After {
    Id node = 0;
    Attr attr{};
    std::map<std::string, std::string> xattrs;
  };
  std::vector<After> attrs;  ///< of nodes that changed with it
};

/// A disk as a power cut may leave it. Its file system writes changes of names and attributes in
/// their order, as ext4 does with data=ordered; content that nobody synced is on disk or not.
class Disk {
 public:
  struct Node {
    mode_t mode = 0;
    Attr attr{};
    std::map<std::string, std::string> xattrs;
    std::map<std::string, Id> names;
    std::string text;     ///< of a symbolic link
    std::string content;  ///< with all that was written
    std::string durable;  ///< as it was synced
  };
  std::map<Id, Node> nodes;
  Id root = 0;

  void apply(const Op& op);
  /// Content of this file isn't all on disk.
  bool unsynced(Id id) const;
  /// Path of the first name of a node.
  std::string path_of(Id id) const;

  struct Made {
    ino_t ino;
    Id node;
    Attr attr;
  };
  /// Makes the tree as `root_path`. `keeps`: what was written there and not synced is on disk.
  std::vector<Made> make(const std::string& root_path, const std::function<bool(Id)>& keeps) const;

 private:
  void make_node(Id id, const std::string& path, const std::function<bool(Id)>& keeps,
                 std::map<Id, std::string>* done, std::vector<Made>* made) const;
};

}  // namespace viewsh::crash
