#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "file_time.h"
#include "viewsh/filesystem.h"
#include "viewsh/result.h"

namespace viewsh::viewfs {

struct LayerView;
struct Node;
enum class Detail : uint8_t;

/// What upper/ and the lower have by the names that a layer knows, looked at once: every directory
/// is opened once, and several threads take part where there are many names. It is as of that
/// moment: what is going to be changed has to be looked at again. For what isn't known here,
/// whoever needs it asks the file system.
class Survey {
 public:
  /// Which extended attributes are asked for.
  enum class Xattrs : uint8_t {
    kPairs,  ///< of regular files that are in upper/ and in the lower
    kUpper,  ///< those, and of all regular files in upper/
  };
  /// Looks, where that wasn't done yet. Detail::kAll: into regular files that are in upper/ and in
  /// the lower, too, where they are of the same size.
  void take(const LayerView& view, Xattrs xattrs, Detail detail);

  /// lstat(2) of what upper/ has. Nothing: not known here.
  std::optional<Attr> upper(const Node* node) const;
  /// lstat(2) of what the lower has at the position of a node in a merged directory, whatever is
  /// shown there. Nothing: not known here.
  std::optional<Result<Attr>> lower(const Node* node) const;
  /// What upper/ and the lower have is the same, byte for byte. Nothing: not known here.
  std::optional<bool> same_content(const Node* node) const;
  /// What is in upper/, or in both, has no extended attributes of any kind. False: it may have.
  bool plain_upper(const Node* node) const;
  bool plain(const Node* node) const;

 private:
  /// What is used of statx(2): a layer may have millions of names.
  struct Brief {
    int code = -1;  ///< 0: it is there; an errno; below 0: wasn't asked
    bool plain = false;
    uint32_t mode = 0, uid = 0, gid = 0, nlink = 0, rdev_major = 0, rdev_minor = 0;
    uint32_t dev_major = 0, dev_minor = 0;
    uint64_t ino = 0, size = 0, blocks = 0;
    FileTime atime, mtime, ctime;
    Attr attr() const;
  };
  struct Look {
    Brief upper, lower;
    int8_t same = -1;  ///< the content of both: 1 yes, 0 no, -1 not compared
  };
  /// A directory of the layer.
  struct Place {
    std::string upper, lower;
    bool merged = false;
  };
  struct Name {
    const Node* node = nullptr;
    size_t place = 0;
  };
  class Watcher;
  static void ask(int dir, const std::string& name, Brief* out);
  void list(const LayerView& view, std::vector<Place>* places, std::vector<Name>* names);
  const Look* find(const Node* node) const;

  bool taken_ = false;
  std::unordered_map<const Node*, size_t> at_;  ///< in looks_
  std::vector<Look> looks_;
};

}  // namespace viewsh::viewfs
