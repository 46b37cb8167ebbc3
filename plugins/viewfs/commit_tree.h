#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "viewsh/filesystem.h"
#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh::viewfs {

/// An open directory (O_PATH) and its inode number.
struct OpenDir {
  UniqueFd fd;
  uint64_t ino = 0;
  int get() const { return fd.get(); }
};
using Dir = std::shared_ptr<OpenDir>;

/// A tree of the host whose directories are opened by relative paths of any length, never through
/// a symbolic link and never out of it: openat2(2), RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS. All
/// else is done by descriptors of directories. The last directories are kept open.
class Tree {
 public:
  static constexpr size_t kKept = 64;
  /// `kept`: so many directories at most stay open.
  explicit Tree(int root_fd, size_t kept = kKept) : root_(root_fd), kept_(kept) {}
  /// ENOENT, EACCES; ELOOP: there is a link on the way.
  Result<Dir> dir(const std::string& path);
  /// The same, to be the directory `ino`. ESTALE: it is another one.
  Result<Dir> dir(const std::string& path, uint64_t ino);
  /// The directory that `path` is in.
  Result<Dir> parent(const std::string& path);
  /// "" is the root of the tree.
  Result<Attr> lstat(const std::string& path);
  int root() const { return root_; }
  /// Directories may have moved: paths mean others now.
  void forget() { open_.clear(); }

 private:
  int root_;
  size_t kept_;
  std::unordered_map<std::string, Dir> open_;
};

/// The name of `path` in Tree::parent(); "." of the root.
std::string leaf_of(const std::string& path);
/// statx of a name in a directory, not following it.
Result<Attr> lstat_in(const Dir& dir, const std::string& name);

/// The names in a directory of `dir_fd`, but not . and .. readdir(3).
Result<std::vector<std::string>> names_in(int dir_fd, const std::string& name);

/// Opens a regular file of its owner's even where its mode forbids it, by changing the mode for the
/// moment. Never follows a link, never waits. open(2).
UniqueFd open_anyway(int dir_fd, const std::string& name, int flags);

}  // namespace viewsh::viewfs
