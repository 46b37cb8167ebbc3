#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cow_index.h"
#include "layer.h"
#include "layer_selection.h"
#include "layer_tree.h"
#include "near.h"
#include "survey.h"
#include "viewsh/layer.h"

namespace viewsh::viewfs {

/// A layer as a whole, looked at from outside a view: all of its names are in the index.
struct LayerView {
  std::unique_ptr<Layer> layer;
  Index index;
  std::map<std::string, Node*> sources;  ///< lower paths that are shown elsewhere, and (one) where
  /// Of a snapshot: what upper/ held. Null: upper/ is what counts.
  std::shared_ptr<const SnapshotTree> frozen;
  /// The layer that this one stands on. Null: the lower is what it was made over.
  std::unique_ptr<LayerView> below;
  std::string objects;  ///< of a snapshot: host path of its content, with a slash
  /// Of its names; taken with changes_of(). Says nothing of what was changed since.
  Survey survey;

  /// Null: `error` says why. `write`: takes the lock. `recover`: also with an unfinished commit.
  static std::unique_ptr<LayerView> open(const std::string& dir, const std::string& name,
                                         bool write, const std::string& who, std::string* error,
                                         bool recover = false);

  /// Of a layer that a power cut interrupted. Empty, or what went wrong.
  std::string recover();
  std::string view_path(const std::string& path) const;
  /// The reverse.
  std::string layer_path(const std::string& view_path) const;
  std::string lower_host(const std::string& lower) const;
  /// The lower's files can be looked at by lower_host().
  bool knows_lower() const { return below != nullptr || !layer->lower().empty(); }
  /// Host path of what the layer shows of a path; of a directory the lowest that is merged there.
  std::string shown_host(const std::string& path) const;
  /// Of a snapshot: "" for a directory.
  std::string upper_host(const std::string& path) const;
  /// lstat(2) of what is in upper/.
  Result<Attr> upper_attr(const std::string& path) const;
  Result<std::map<std::string, std::string>> upper_xattrs(const std::string& path) const;
  /// A lower path at or below this one is shown elsewhere.
  bool source_below(const std::string& lower) const;
  /// The place of a lower path in the view still shows it: another name for it is a hard link, not
  /// a rename.
  bool shown_at_home(const std::string& lower) const;

 private:
  static std::unique_ptr<LayerView> load(const std::string& dir, const std::string& name,
                                         bool write, const std::string& who, std::string* error,
                                         bool recover);
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

/// What is to be known of a change.
enum class Detail : uint8_t {
  kAll,
  kWhether,  ///< that it is one: `content` and `metadata` say no more than is found without reading
};
/// What the layer changes, parents before children, names in order.
std::vector<NodeChange> changes_of(LayerView* view, Detail detail = Detail::kAll);

/// Tells of changes, one after the other, what the lower has that the layer wasn't built on.
class Conflicts {
 public:
  explicit Conflicts(const LayerView& view) : view_(view) {}
  /// Why the lower's node isn't any more what the layer built on; empty: it is.
  std::string of(const NodeChange& change);

 private:
  std::string of_directory(const Node& node);
  std::string of_file(const Result<Attr>& now, const LowerState& then, const std::string& host);
  /// What the lower has at the position of a node now; `host` is the path of that.
  Result<Attr> look(const Node& node, const std::string& host);

  const LayerView& view_;
  Near near_, dirs_;
  std::map<uint64_t, bool> keeps_;  ///< by device: times of change are to be relied on
  const Node* dir_ = nullptr;       ///< the last one of of_directory()
  std::string dir_conflict_;
};

}  // namespace viewsh::viewfs
