#pragma once

#include <string>
#include <vector>

#include "layer_tree.h"
#include "layer_view.h"
#include "viewsh/layer.h"

namespace viewsh::viewfs {

/// A finished snapshot on disk: SNAPSHOTS/NAME with `tree`, `log` and `objects/`.
struct Snapshot {
  SnapshotTree tree;
  std::vector<Transaction> log;

  /// Empty, or why it can't be read.
  static std::string read(int layer_fd, const std::string& name, Snapshot* out);
  static std::string objects(const std::string& name) { return "snapshots/" + name + "/objects"; }
};

/// A name for a snapshot: one plain file name without `@` and `..`. Empty, or what is wrong.
std::string check_snapshot_name(const std::string& name);
/// Adds a snapshot of the state that `view` (opened for writing) shows. Empty, or the error; then
/// there is nothing of it.
std::string take_snapshot(LayerView* view, const std::string& layer, const std::string& name,
                          SnapshotInfo* info);

/// What the commands do with the layer directory `dir`; `who` is told to others meanwhile.
struct LayerPlace {
  std::string dir;
  std::string name;
  std::string who;
  /// `recover`: also with an unfinished commit.
  std::unique_ptr<LayerView> open(bool write, std::string* error, bool recover = false) const {
    *error = check_layer_name(name);
    return error->empty() ? LayerView::open(dir, name, write, who, error, recover) : nullptr;
  }
};
LayerStore::Answer<std::vector<SnapshotInfo>> list_snapshots(const LayerPlace& place);
LayerStore::Answer<SnapshotInfo> take_snapshot(const LayerPlace& place, const std::string& name);
LayerStore::Answer<bool> delete_snapshot(const LayerPlace& place, const std::string& name);

/// The layer as a snapshot remembers it. Null: `error` says why.
std::unique_ptr<LayerView> open_snapshot(const LayerPlace& place, const std::string& name,
                                         std::string* error);

}  // namespace viewsh::viewfs
