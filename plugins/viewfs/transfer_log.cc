// The last part of an import: what was made in upper/ meets the lower tree, and the log is written.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cow_host.h"
#include "deep_path.h"
#include "transfer_build.h"
#include "viewsh/long_path.h"

namespace viewsh::viewfs {

std::vector<LayerBuilder::Item*> LayerBuilder::in_order() {
  std::vector<Item*> out{root_.get()};
  for (size_t i = 0; i < out.size(); ++i) {
    for (auto& [name, child] : out[i]->children) out.push_back(child.get());
  }
  return out;
}

/// The root of a layer is always merged: where nothing of the lower is to be seen, its names go.
std::string LayerBuilder::hide_root_names() {
  if (!root_->opaque) return {};
  const auto names = list_sorted(lower_.get());
  if (!names) return layer_.lower() + ": " + names.error().message();
  for (const DeepEntry& entry : *names) make_child(root_.get(), entry.name)->whiteout = true;
  return {};
}

void LayerBuilder::record_hide(const std::string& path, const Attr& lower) {
  state_.records.push_back(Record::hide(path, lower_state(lower)));
  if (S_ISDIR(lower.stx_mode) || lower.stx_nlink < 2) return;
  Record& linked = linked_[{dev_of(lower), lower.stx_ino}];
  linked.op = Record::Op::kLinked;
  linked.state = lower_state(lower);
  ++linked.covered;
}

/// Attributes of a directory that nobody told of: the lower's, or those of a new one.
Attr LayerBuilder::lower_or_default(const std::string& path, bool merged) const {
  if (merged) {
    if (const auto attr = lstat_deep(lower_.get(), path)) return *attr;
  }
  auto attr = lstat_deep(layer_.upper_fd(), path);
  Attr out = attr ? *attr : Attr{};
  out.stx_mode = S_IFDIR | 0755;
  return out;
}

void LayerBuilder::record_dir(const Item& item, const std::string& path, const Attr* lower) {
  const Attr attr = item.node ? item.node->attr : lower_or_default(path, item.merged);
  Meta meta;
  meta.type = NodeType::kDirectory;
  if (item.merged) {
    meta.kind = Meta::Kind::kMerged;
    meta.origin = lower_state(*lower);
  }
  const auto told_mode = attr.stx_mode & 07777u;
  const bool differs =
      item.merged && item.node &&
      ((lower->stx_mode & 07777u) != told_mode || lower->stx_uid != attr.stx_uid ||
       lower->stx_gid != attr.stx_gid ||
       !same_xattrs(read_xattrs(LongPath(open_deep(lower_.get(), path).get(), ".")),
                    item.node->xattrs));
  const bool held = item.kept.owner && (told_mode & S_IRWXU) == S_IRWXU;
  if (!held || differs) {
    meta.mode = told_mode;
    meta.uid = attr.stx_uid;
    meta.gid = attr.stx_gid;
    meta.changed = differs || !item.merged;
  }
  if (item.merged || meta.mode) state_.records.push_back(Record::node(path, std::move(meta)));
}

void LayerBuilder::record_file(const Item& item, const std::string& path, const Attr* lower) {
  const auto upper = lstat_deep(layer_.upper_fd(), path);
  Meta meta;
  meta.type = item.type;
  const bool regular = item.type == NodeType::kRegular || item.type == NodeType::kSymlink;
  const bool copy = lower != nullptr && !item.whiteout && regular && lower->stx_nlink == 1 &&
                    type_of_mode(lower->stx_mode) == item.type && upper && upper->stx_nlink == 1;
  if (copy) {
    meta.origin = lower_state(*lower);  // it stands for the lower's and keeps its inode number
  } else if (lower != nullptr) {
    record_hide(path, *lower);
  }
  const Attr& attr = item.node->attr;
  if (upper && (upper->stx_uid != attr.stx_uid || upper->stx_gid != attr.stx_gid)) {
    meta.mode = attr.stx_mode & 07777u;
    meta.uid = attr.stx_uid;
    meta.gid = attr.stx_gid;
    meta.changed = !copy || lower->stx_uid != attr.stx_uid || lower->stx_gid != attr.stx_gid ||
                   ((lower->stx_mode ^ attr.stx_mode) & 07777u) != 0;
  }
  if (copy || meta.uid) state_.records.push_back(Record::node(path, std::move(meta)));
}

void LayerBuilder::record_linked() {
  for (auto& [key, record] : linked_) {
    if (record.covered < static_cast<int32_t>(record.state.nlink)) {
      state_.records.push_back(std::move(record));
    }
  }
}

std::string LayerBuilder::decide(Item* item, const std::string& path) {
  const bool below = item->parent == nullptr || item->parent->merged;
  const auto found = below ? lstat_deep(lower_.get(), path) : Result<Attr>(Errno(ENOENT));
  if (!found && found.error().value() != ENOENT && found.error().value() != ENOTDIR) {
    return layer_.lower() + "/" + path + ": " + found.error().message();
  }
  const Attr* lower = found ? &*found : nullptr;
  if (!item->present) {
    if (item->whiteout && lower != nullptr) record_hide(path, *lower);
    return {};
  }
  if (!item->is_dir()) {
    record_file(*item, path, lower);
    return {};
  }
  item->merged = lower != nullptr && S_ISDIR(lower->stx_mode) &&
                 (item->parent == nullptr || (!item->opaque && !item->whiteout));
  if (lower != nullptr && !item->merged) record_hide(path, *lower);
  return {};
}

std::string LayerBuilder::finish() {
  if (std::string error = hide_root_names(); !error.empty()) return error;
  const std::vector<Item*> items = in_order();
  for (Item* item : items) {
    if (std::string error = decide(item, path_of(*item)); !error.empty()) return error;
    if (std::string error = meter_.step(0, 0); !error.empty()) return error;
  }
  // What is in a directory changes its times, so the deepest come first.
  for (auto it = items.rbegin(); it != items.rend(); ++it) {
    Item& item = **it;
    if (!item.is_dir()) continue;
    TransferNode node;
    node.path = path_of(item);
    const UniqueFd below = item.merged ? open_deep(lower_.get(), node.path) : UniqueFd();
    if (item.node) {
      node = *item.node;
    } else {
      node.attr = lower_or_default(node.path, item.merged);
      auto xattrs = below ? read_xattrs(LongPath(below.get(), ".")) : Xattrs();
      if (!xattrs) return layer_.lower() + "/" + node.path + ": " + xattrs.error().message();
      node.xattrs = std::move(*xattrs);
    }
    const std::string error = tree_.finish_dir(node, S_IRWXU, &item.kept);
    if (!error.empty()) return error;
    const auto lower = item.merged ? lstat_deep(lower_.get(), node.path) : Result<Attr>(Attr{});
    if (!lower) return layer_.lower() + "/" + node.path + ": " + lower.error().message();
    record_dir(item, node.path, &*lower);
  }
  record_linked();
  const auto done = layer_.compact(state_, true);
  return done ? std::string() : "log: " + done.error().message();
}

}  // namespace viewsh::viewfs
