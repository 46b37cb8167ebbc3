// What was committed, or is not wanted, leaves the layer.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "commit.h"
#include "commit_tree.h"
#include "cow_host.h"
#include "layer_restore.h"

namespace viewsh::viewfs {
namespace {

class Dropper {
 public:
  Dropper(LayerView* view, const Selection& selection, bool committed)
      : view_(*view),
        selection_(selection),
        committed_(committed),
        upper_(view->layer->upper_fd()) {}

  std::string run() {
    const auto committed =
        committed_ ? committed_states(&view_, selection_) : std::vector<LowerState>();
    count_links();
    below(view_.index.root(), "");
    if (!error_.empty()) return error_;
    for (const Record& record : records_) view_.index.apply(record);
    forget_links();
    follow_commit(&view_, committed);
    const auto done = drop_from_layer(view_.layer.get(), leaving_, view_.index.snapshot());
    return done ? std::string() : "log: " + done.error().message();
  }

 private:
  bool goes(const std::string& path) const {
    return selection_.of(path) != Selection::Verdict::kKeep;
  }
  bool anything_goes(const std::string& path) const {
    if (goes(path)) return true;
    const auto& decisions = selection_.decisions();
    for (auto it = decisions.lower_bound(path + "/"); it != decisions.end(); ++it) {
      if (it->first.compare(0, path.size() + 1, path + "/") != 0) return false;
      if (it->second != Selection::Verdict::kKeep) return true;
    }
    return false;
  }

  /// Names of lower inodes with several of them that leave the layer.
  void count_links() {
    view_.index.each([&](Node* node) {
      const Meta* meta = node->meta.get();
      if (node->is_dir() || meta == nullptr || !meta->origin) return;
      const InodeKey key{meta->origin->dev, meta->origin->ino};
      if (view_.index.linked().count(key) == 0 || !goes(Index::path_of(node))) return;
      ++links_[{key.dev, key.ino}];
    });
  }

  /// A copy that lost all of its names in the view isn't the lower's copy any more.
  void forget_links() {
    for (const auto& [key, names] : links_) {
      auto& linked = view_.index.linked();
      const auto it = linked.find({key.first, key.second});
      if (it == linked.end()) continue;
      it->second.covered -= names;
      bool left = false;
      view_.index.each([&](const Node* node) {
        left =
            left || (!node->is_dir() && node->meta && node->meta->origin &&
                     node->meta->origin->dev == key.first && node->meta->origin->ino == key.second);
      });
      if (left) continue;
      leaving_.links.push_back(std::to_string(key.first) + "-" + std::to_string(key.second));
      linked.erase(it);
    }
  }

  void below(Node* dir, const std::string& path) {
    std::vector<Node*> children;
    if (dir->children) {
      for (auto& [name, child] : *dir->children) children.push_back(child.get());
    }
    bool removed = false;
    bool adopted = false;
    if (goes(path)) {
      adopted = adopt(dir, path, true);
    } else if (committed_ && !dir->merged()) {
      adopt(dir, path, false);
    }
    for (Node* child : children) {
      const std::string name = join(path, child->name);
      if (!error_.empty() || !anything_goes(name)) continue;
      if (!goes(name) || selection_.keeps_below(name)) {
        if (child->is_dir()) below(child, name);
        continue;
      }
      drop(child, name);
      removed = true;
    }
    if (!removed || adopted) return;
    const auto now = upper_.lstat(path);
    if (now) {  // what the view shows of the directory
      leaving_.dirs.push_back({path, attributes_of(*now)});
    } else if (now.error() != Errno(ENOENT)) {
      error_ = view_.view_path(path) + ": " + now.error().message();
    }
  }

  /// All of a name.
  void drop(Node* node, const std::string& path) {
    if (node->state == Node::State::kUpper) leaving_.upper.push_back(path);
    show_sources(node);
    records_.push_back(Record::clear(path));
    records_.push_back(Record::show(path));
  }

  void show_sources(const Node* node) {
    if (node->present() && node->meta && !node->meta->redirect.empty()) {
      records_.push_back(Record::show(node->meta->redirect));
    }
    if (!node->children) return;
    for (const auto& [name, child] : *node->children) show_sources(child.get());
  }

  /// A directory of which something stays, while it itself, or something in it, was committed: it
  /// is there in the lower now. False: it isn't, or keeps the attributes that it has.
  bool adopt(Node* node, const std::string& path, bool attributes) {
    const auto now = lstat_at(AT_FDCWD, view_.lower_host(path));
    const bool gone = !now && (now.error() == ENOENT || now.error() == ENOTDIR);
    if (!now && !gone) error_ = view_.view_path(path) + ": " + now.error().message();
    if (!now || !S_ISDIR(now->stx_mode)) return false;
    const bool merged = node->merged();
    Meta meta = merged ? *node->meta : Meta();
    if (merged && !meta.redirect.empty()) records_.push_back(Record::show(meta.redirect));
    meta.kind = Meta::Kind::kMerged;
    meta.type = NodeType::kDirectory;
    meta.redirect.clear();
    meta.origin = lower_state(*now);
    if (attributes) {
      meta.mode.reset(), meta.uid.reset(), meta.gid.reset();
      meta.changed = false;
      Attributes shown = attributes_of(*now);
      shown.mode |= S_IRWXU;
      leaving_.dirs.push_back({path, shown});
    }
    if (!path.empty()) records_.push_back(Record::show(path));
    records_.push_back(Record::node(path, std::move(meta)));
    return attributes;
  }

  LayerView& view_;
  const Selection& selection_;
  bool committed_;
  Tree upper_;
  std::vector<Record> records_;
  Leaving leaving_;
  std::map<std::pair<uint64_t, uint64_t>, int32_t> links_;
  std::string error_;
};

}  // namespace

std::string drop_selected(LayerView* view, const Selection& selection, bool committed) {
  return Dropper(view, selection, committed).run();
}

}  // namespace viewsh::viewfs
