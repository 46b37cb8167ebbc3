#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cow_index.h"
#include "layer.h"
#include "layer_tree.h"
#include "viewsh/layer.h"

namespace viewsh::viewfs {

/// A layer as a whole, looked at from outside a view: all of its names are in the index.
struct LayerView {
  std::unique_ptr<Layer> layer;
  Index index;
  std::map<std::string, Node*> sources;  ///< lower paths that are shown elsewhere, and (one) where
  /// Of a snapshot: what upper/ held. Null: upper/ is what counts.
  std::shared_ptr<const SnapshotTree> frozen;
  std::string objects;  ///< of a snapshot: host path of its content, with a slash

  /// Null: `error` says why. `write`: takes the lock.
  static std::unique_ptr<LayerView> open(const std::string& dir, const std::string& name,
                                         bool write, const std::string& who, std::string* error);

  std::string view_path(const std::string& path) const;
  std::string lower_host(const std::string& lower) const;
  /// Of a snapshot: "" for a directory.
  std::string upper_host(const std::string& path) const;
  /// lstat(2) of what is in upper/.
  Result<Attr> upper_attr(const std::string& path) const;
  std::map<std::string, std::string> upper_xattrs(const std::string& path) const;
  /// A lower path at or below this one is shown elsewhere.
  bool source_below(const std::string& lower) const;
  /// The place of a lower path in the view still shows it: another name for it is a hard link, not
  /// a rename.
  bool shown_at_home(const std::string& lower) const;
};

/// Which view paths are meant: those at or below one of some, or all.
class Selection {
 public:
  /// `error` is filled if a path can't be in the layer.
  Selection(const LayerView& view, const std::vector<std::string>& paths, std::string* error);
  bool all() const { return all_; }
  bool has(const std::string& path) const;
  /// Something below `path` may be meant.
  bool touches(const std::string& path) const;
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  bool all_ = true;
  std::vector<std::string> paths_;
};

/// A change with the node that it comes from.
struct NodeChange {
  Change change;
  Node* node = nullptr;
  std::string path;   ///< in the view, relative
  std::string lower;  ///< lower path of the position, if `has_lower`
  bool has_lower = false;
  bool implied = false;  ///< comes with the change of the directory `node`, and only with it
};

/// What the layer changes, parents before children, names in order.
std::vector<NodeChange> changes_of(LayerView* view);
/// Why the lower's node isn't any more what the layer built on; empty: it is.
std::string conflict_of(const LayerView& view, const NodeChange& change);

/// Writes changes to the lower; empty, or the error. See layer_commit.cc.
std::string apply_changes(LayerView* view, const Selection& selection);
/// Takes what is selected out of the layer: the lower shows again. Empty, or the error.
std::string drop_changes(LayerView* view, const std::vector<NodeChange>& changes);

/// Both are regular files or links of the same content.
bool same_content(const std::string& a, const std::string& b);

}  // namespace viewsh::viewfs
