// Hard links stay linked in a view: when a file of several names is copied, its other names show
// the copy, too, though the layer has nothing at their paths. An archive has to name them, so they
// are looked for, in the lower directories that the view shows.
#include <fcntl.h>
#include <sys/stat.h>

#include "cow_host.h"
#include "deep_path.h"
#include "transfer_walk.h"

namespace viewsh::viewfs {
namespace {

class LinkSearch {
 public:
  LinkSearch(const LayerView& view, int lower_fd, TransferMeter* meter, LinkedNames* out)
      : view_(view), lower_fd_(lower_fd), meter_(*meter), out_(*out) {}

  std::string run() {
    for (const auto& [key, linked] : view_.index.linked()) {
      const int64_t left = static_cast<int64_t>(linked.state.nlink) - linked.covered;
      if (!linked.anchor || left <= 0) continue;
      wanted_[{key.dev, key.ino}] = left;
    }
    if (wanted_.empty() || lower_fd_ < 0) return {};
    std::vector<Dir> todo{{view_.index.find(""), "", true, ""}};
    while (!todo.empty() && !wanted_.empty()) {
      const Dir dir = std::move(todo.back());
      todo.pop_back();
      if (dir.node != nullptr) own_dirs(dir, &todo);
      if (dir.has_lower) lower_names(dir, &todo);
      if (std::string error = meter_.step(0, 0); !error.empty()) return error;
    }
    return {};
  }

 private:
  struct Dir {
    const Node* node;
    std::string path;
    bool has_lower;
    std::string lower;
  };

  static void own_dirs(const Dir& dir, std::vector<Dir>* todo) {
    if (!dir.node->children) return;
    for (const auto& [name, node] : *dir.node->children) {
      if (!node->is_dir()) continue;
      std::string lower;
      if (node->merged()) lower = node->meta->redirect;
      if (node->merged() && lower.empty()) lower = join(dir.lower, name);
      todo->push_back({node.get(), join(dir.path, name), node->merged(), std::move(lower)});
    }
  }

  /// A directory that can't be read has no names for this user, in the view either.
  void lower_names(const Dir& dir, std::vector<Dir>* todo) {
    const UniqueFd fd = open_deep(lower_fd_, dir.lower);
    const auto self = fd ? lstat_at(fd.get(), "") : Result<Attr>(Errno::last());
    // Names of one file are on one file system, but that may be mounted further down.
    const auto entries = self ? list_sorted(fd.get()) : Result<std::vector<DeepEntry>>(Errno());
    if (!self || !entries) return;
    const uint64_t dev = dev_of(*self);
    for (const DeepEntry& entry : *entries) {
      const Node* node = dir.node == nullptr ? nullptr : dir.node->child(entry.name);
      if (node != nullptr && (node->hidden || node->present())) continue;
      NodeType type = entry.type;
      if (type == NodeType::kUnknown) {
        const auto attr = lstat_at(fd.get(), entry.name);
        if (attr) type = type_of_mode(attr->stx_mode);
      }
      if (type == NodeType::kDirectory) {
        todo->push_back({node, join(dir.path, entry.name), true, join(dir.lower, entry.name)});
      } else {
        found({dev, entry.ino}, dir.path, entry.name);
      }
    }
  }

  void found(const std::pair<uint64_t, uint64_t>& key, const std::string& dir,
             const std::string& name) {
    const auto wanted = wanted_.find(key);
    if (wanted == wanted_.end()) return;
    out_.names[dir].insert(name);
    for (std::string above = dir;; above = parent_of(above)) {
      if (!out_.dirs.insert(above).second || above.empty()) break;
    }
    if (--wanted->second == 0) wanted_.erase(wanted);
  }

  const LayerView& view_;
  int lower_fd_;
  TransferMeter& meter_;
  LinkedNames& out_;
  std::map<std::pair<uint64_t, uint64_t>, int64_t> wanted_;  ///< names that are left, by inode
};

}  // namespace

std::string find_linked_names(const LayerView& view, int lower_fd, TransferMeter* meter,
                              LinkedNames* out) {
  return LinkSearch(view, lower_fd, meter, out).run();
}

}  // namespace viewsh::viewfs
