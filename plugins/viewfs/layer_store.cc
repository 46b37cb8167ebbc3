#include "layer_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cow_host.h"
#include "host_ops.h"
#include "layer_compare.h"
#include "layer_restore.h"
#include "layer_shared.h"
#include "layer_verify.h"
#include "layer_view.h"
#include "transfer_store.h"

namespace viewsh {
namespace {

using viewfs::LayerView;
using viewfs::NodeChange;
using viewfs::Selection;

class Store final : public LayerStore {
 public:
  explicit Store(Host& host) : host_(host) {}

  Answer<std::vector<LayerInfo>> layers() override {
    Answer<std::vector<LayerInfo>> out;
    DIR* dir = opendir(layers_dir().c_str());
    if (dir == nullptr) {
      if (errno != ENOENT) out.error = layers_dir() + ": " + strerror(errno);
      return out;
    }
    std::vector<std::string> names;
    while (const dirent* entry = readdir(dir)) {
      if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    closedir(dir);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) out.value.push_back(info(name));
    return out;
  }

  Answer<std::vector<Change>> diff(const std::string& layer,
                                   const std::vector<std::string>& paths) override {
    Answer<std::vector<Change>> out;
    auto view = open(layer, false, &out.error);
    if (!view) return out;
    for (NodeChange& c : selected(view.get(), layer, paths, &out.error)) {
      out.value.push_back(std::move(c.change));
    }
    return out;
  }

  Answer<CommitReport> commit(const std::string& layer, const std::vector<std::string>& paths,
                              const CommitOptions& options) override {
    Answer<CommitReport> out;
    auto view = open(layer, !options.dry_run, &out.error);
    if (!view) return out;
    if (view->layer->lower().empty()) {
      out.error = "layer " + layer + ": it was made over a tree that is not the host's";
      return out;
    }
    const auto changes = selected(view.get(), layer, paths, &out.error);
    const Selection selection(*view, paths, &out.error);
    if (out.ok()) out.error = entangled(*view, selection);
    if (!out.ok()) return out;
    for (const NodeChange& c : changes) {
      out.value.applied.push_back(c.change);
      std::string conflict = conflict_of(*view, c);
      if (!conflict.empty()) out.value.conflicts.push_back(std::move(conflict));
    }
    const bool stop = !out.value.conflicts.empty() && !options.force;
    if (stop || options.dry_run) {
      if (stop) out.value.applied.clear();
      return out;
    }
    if (const auto why = apply_changes(view.get(), selection); !why.empty()) {
      out.error = "commit: " + why;
    } else if (selection.all() && viewfs::snapshot_names(view->layer->dir_fd()).empty()) {
      out.error = remove_layer(layer, std::move(view));
    } else if (selection.all()) {
      out.error = viewfs::empty_layer(view.get(), layer);
    } else {
      adopt_parents(view.get(), selection);
      out.error = drop_changes(view.get(), changes);
    }
    return out;
  }

  Answer<bool> discard(const std::string& layer, const std::vector<std::string>& paths) override {
    Answer<bool> out;
    auto view = open(layer, true, &out.error);
    if (!view) return out;
    const auto changes = selected(view.get(), layer, paths, &out.error);
    const Selection selection(*view, paths, &out.error);
    if (!out.ok()) return out;
    if (selection.all()) {
      out.error = remove_layer(layer, std::move(view));
    } else {
      out.error = entangled(*view, selection);
      if (out.ok()) out.error = drop_changes(view.get(), changes);
    }
    out.value = out.ok();
    return out;
  }

  Answer<TransferReport> export_to(const std::string& layer, const std::string& file,
                                   const TransferOptions& options) override {
    Answer<TransferReport> out;
    // Locked, so that it is one state of the layer.
    auto view = open(layer, true, &out.error);
    if (!view) return out;
    out = viewfs::export_layer(view.get(), file, options);
    if (!out.ok()) out.error = "layer " + layer + ": " + out.error;
    return out;
  }

  Answer<TransferReport> import_from(const std::string& file, const std::string& layer,
                                     const TransferOptions& options) override {
    Answer<TransferReport> out;
    out.error = viewfs::check_layer_name(layer);
    if (out.ok()) out = viewfs::import_layer(file, layers_dir(), layer, options);
    return out;
  }

  Answer<std::vector<SnapshotInfo>> snapshots(const std::string& layer) override {
    Answer<std::vector<SnapshotInfo>> out;
    out.error = viewfs::check_layer_name(layer);
    return out.ok() ? viewfs::list_snapshots(place(layer)) : out;
  }

  Answer<SnapshotInfo> take_snapshot(const std::string& layer, const std::string& name) override {
    return viewfs::take_snapshot(place(layer), name);
  }

  Answer<bool> delete_snapshot(const std::string& layer, const std::string& name) override {
    return viewfs::delete_snapshot(place(layer), name);
  }

  Answer<RestoreReport> restore(const std::string& layer, const std::string& name) override {
    return viewfs::restore_snapshot(place(layer), name);
  }

  Answer<std::vector<Change>> diff_snapshot(const std::string& layer, const std::string& name,
                                            const std::vector<std::string>& paths) override {
    Answer<std::vector<Change>> out;
    auto view = viewfs::open_snapshot(place(layer), name, &out.error);
    if (!view) return out;
    for (NodeChange& c : selected(view.get(), layer, paths, &out.error)) {
      out.value.push_back(std::move(c.change));
    }
    return out;
  }

  Answer<std::vector<Change>> diff_between(const std::string& layer, const std::string& from,
                                           const std::string& to,
                                           const std::vector<std::string>& paths) override {
    Answer<std::vector<Change>> out;
    auto a = viewfs::open_snapshot(place(layer), from, &out.error);
    if (!a) return out;
    auto b = to.empty() ? open(layer, false, &out.error)
                        : viewfs::open_snapshot(place(layer), to, &out.error);
    if (!b) return out;
    const Selection selection(*b, paths, &out.error);
    if (out.ok()) out.value = viewfs::compare_layers(*a, *b, selection);
    return out;
  }

  Answer<VerifyReport> verify(const std::string& layer, bool repair) override {
    return viewfs::verify_layer(place(layer), repair);
  }

 private:
  std::string layers_dir() const { return host_.state_dir() + "/layers"; }

  std::unique_ptr<LayerView> open(const std::string& name, bool write, std::string* error) {
    *error = viewfs::check_layer_name(name);
    if (!error->empty()) return nullptr;
    return place(name).open(write, error);
  }

  viewfs::LayerPlace place(const std::string& name) const {
    return {layers_dir() + "/" + name, name,
            "of a command (process " + std::to_string(getpid()) + ")"};
  }

  LayerInfo info(const std::string& name) {
    LayerInfo out;
    out.name = name;
    out.path = layers_dir() + "/" + name;
    out.in_use = viewfs::layer_user(out.path);
    struct stat st {};
    if (stat((out.path + "/log").c_str(), &st) == 0) out.last_used = st.st_mtim.tv_sec;
    out.bytes = host_ops::measure_tree(out.path + "/upper").bytes;
    std::string error;
    auto view = open(name, false, &error);
    if (!view) return out;
    out.at = view->layer->at();
    out.lower = view->layer->lower();
    out.changes = changes_of(view.get()).size();
    return out;
  }

  std::vector<NodeChange> selected(LayerView* view, const std::string& layer,
                                   const std::vector<std::string>& paths, std::string* error) {
    const Selection selection(*view, paths, error);
    std::vector<NodeChange> all = viewfs::changes_of(view);
    for (const std::string& path : selection.paths()) {
      const bool hit = std::any_of(all.begin(), all.end(), [&](const NodeChange& c) {
        return c.path == path || c.path.rfind(path + "/", 0) == 0;
      });
      if (!hit && error->empty()) {
        *error = "layer " + layer + ": " + view->view_path(path) + ": nothing is changed there";
      }
    }
    std::erase_if(all, [&](const NodeChange& c) { return !selection.has(c.path); });
    return all;
  }

  /// Part of a layer can't go without what it hangs on by a rename.
  static std::string entangled(const LayerView& view, const Selection& selection) {
    std::string out;
    if (selection.all()) return out;
    view.index.each([&](viewfs::Node* node) {
      if (!out.empty() || !node->present()) return;
      const std::string path = viewfs::Index::path_of(node);
      const std::string where = view.view_path(path);
      const bool replaced = node->is_dir() && !node->merged() && node->hidden;
      if (replaced && !selection.has(path) && selection.touches(path)) {
        out = where + ": replaced what was there as a whole; name it instead of what is in it";
        return;
      }
      if (!node->meta || node->meta->redirect.empty()) return;
      if (!selection.has(path)) {
        if (selection.touches(path)) {
          out = where + ": is renamed as a whole; name it instead of what is in it";
        } else if (selection.has(node->meta->redirect)) {
          out = where + ": was renamed from what is selected; name it, too";
        }
        return;
      }
      for (const auto& [source, shown] : view.sources) {
        if (source.rfind(node->meta->redirect + "/", 0) == 0) {
          out = where + ": something was moved out of it; only the whole layer can go";
        }
      }
    });
    return out;
  }

  /// Directories above what was committed now exist below: they are merged with it.
  static void adopt_parents(LayerView* view, const Selection& selection) {
    viewfs::Transaction t;
    view->index.each([&](viewfs::Node* node) {
      const std::string path = viewfs::Index::path_of(node);
      if (!node->is_dir() || node->merged() || selection.has(path) || !selection.touches(path)) {
        return;
      }
      const auto attr = viewfs::lstat_at(AT_FDCWD, view->lower_host(path));
      if (!attr) return;
      viewfs::Meta meta;
      meta.kind = viewfs::Meta::Kind::kMerged;
      meta.type = NodeType::kDirectory;
      meta.origin = viewfs::lower_state(*attr);
      t.records.push_back(viewfs::Record::show(path));
      t.records.push_back(viewfs::Record::node(path, std::move(meta)));
    });
    for (const viewfs::Record& record : t.records) view->index.apply(record);
  }

  std::string remove_layer(const std::string& name, std::unique_ptr<LayerView> view) {
    // Renamed first: half a layer must not look like one.
    const std::string dir = layers_dir();
    const std::string gone = "." + name + ".removed-" + std::to_string(getpid());
    if (renameat(AT_FDCWD, (dir + "/" + name).c_str(), AT_FDCWD, (dir + "/" + gone).c_str()) < 0) {
      return dir + "/" + name + ": " + strerror(errno);
    }
    UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const bool removed = fd && host_ops::remove_tree(fd.get(), gone);
    view.reset();
    return removed ? std::string() : dir + "/" + gone + ": can't be removed completely";
  }

  Host& host_;
};

}  // namespace

std::unique_ptr<LayerStore> make_layer_store(Host& host) { return std::make_unique<Store>(host); }

}  // namespace viewsh
