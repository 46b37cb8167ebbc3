#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh {

/// Where a path of a union was found.
struct MergeHit {
  Found found;               ///< as the source says it, `consumed` counted in the caller's `rest`
  size_t source = 0;         ///< of the node or link
  std::vector<size_t> dirs;  ///< a directory: all sources that have it, in order
  bool merged() const { return dirs.size() > 1; }
  bool is_node() const { return found.kind == Found::Kind::kNode; }
};

/// The looking side of a union of directories.
///
/// A name is that of the first source that has it, where a source counts in a directory if it has
/// that directory itself, all the way down. So a file of an earlier source covers a directory of a
/// later one with everything in it, and the other way round.
class MergeTree {
 public:
  explicit MergeTree(std::vector<std::shared_ptr<FileSystem>> sources)
      : sources_(std::move(sources)) {}

  size_t size() const { return sources_.size(); }
  FileSystem& source(size_t index) const { return *sources_[index]; }

  /// As Tree::resolve().
  Result<MergeHit> look(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller);
  /// The node itself, a link not followed; kMissing where its directory is there. ENOENT, ENOTDIR.
  Result<MergeHit> look(const std::string& path);
  /// The same, but a missing node is ENOENT.
  Result<MergeHit> node(const std::string& path);

  Result<Attr> getattr(const std::string& path, const MergeHit& hit);
  Result<std::vector<DirEntry>> list(const std::string& path, const MergeHit& hit);
  std::optional<std::string> reverse(const std::string& host);
  bool fix_attr(Attr* attr);
  bool waits(std::string_view path, bool below) const;
  bool waits_for(const Attr& object) const;
  /// Has a source behind the first one this very name, seen or covered?
  bool later_source_has(const std::string& path);

  /// From now on the node with attributes `now` shows the identity that `before` had. Copy-up.
  void keep_identity(const Attr& now, const Attr& before);
  void forget_identity(const Attr& attr);
  bool keeps_identities() const { return !identity_.empty(); }
  bool has_identity(const Attr& attr) const { return identity_.count(key(attr)) > 0; }

 private:
  using Key = std::tuple<uint32_t, uint32_t, uint64_t>;
  static Key key(const Attr& attr) {
    return {attr.stx_dev_major, attr.stx_dev_minor, attr.stx_ino};
  }
  size_t solid_prefix(size_t source, std::string_view path);
  bool show_identity(Attr* attr) const;

  std::vector<std::shared_ptr<FileSystem>> sources_;
  std::map<Key, Key> identity_;  ///< of nodes that were copied to the first source
  std::set<Key> merged_dirs_;    ///< seen so far: their link count is 1
};

}  // namespace viewsh
