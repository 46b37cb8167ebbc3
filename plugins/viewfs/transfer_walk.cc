#include "transfer_walk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy_up.h"
#include "cow_host.h"
#include "deep_path.h"
#include "viewsh/long_path.h"

namespace viewsh::viewfs {
namespace {

std::string at(const std::string& path, int code) { return told(path) + ": " + strerror(code); }

void override_attr(const Meta* meta, Attr* attr) {
  if (meta == nullptr) return;
  if (meta->mode) {
    attr->stx_mode = static_cast<uint16_t>((attr->stx_mode & S_IFMT) | (*meta->mode & 07777));
  }
  if (meta->uid) attr->stx_uid = *meta->uid;
  if (meta->gid) attr->stx_gid = *meta->gid;
}

}  // namespace

LayerWalk::LayerWalk(LayerView* view, LayerSink* sink, TransferMeter* meter)
    : view_(*view), sink_(*sink), meter_(*meter) {
  view_.index.each([this](Node* node) {
    if (node->meta && node->meta->upper_ino != 0) {
      by_upper_ino_[node->meta->upper_ino] = node->meta.get();
    }
  });
}

std::string LayerWalk::run() {
  const std::string& lower = view_.layer->lower();
  if (!lower.empty()) {
    lower_.reset(open(lower.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lower_) return lower + ", which the layer is of: " + strerror(errno);
  }
  if (const auto attr = lstat_at(AT_FDCWD, view_.layer->dir())) layer_attr_ = *attr;
  std::string error = find_linked_names(view_, lower_.get(), &meter_, &linked_);
  Dir root;
  root.node = view_.index.root();
  root.has_lower = true;
  std::vector<Dir> todo{root};
  while (!todo.empty() && error.empty()) {
    const Dir dir = std::move(todo.back());
    todo.pop_back();
    std::vector<Dir> below;
    error = visit(dir, &below);
    todo.insert(todo.end(), std::make_move_iterator(below.rbegin()),
                std::make_move_iterator(below.rend()));
  }
  return error.empty() ? sink_.finish() : error;
}

std::string LayerWalk::need_lower() const {
  if (lower_) return {};
  return "it was made over a tree that is not the host's, which can't be read for what it renames";
}

bool LayerWalk::is_layer(const Attr& attr) const {
  return attr.stx_ino == layer_attr_.stx_ino && dev_of(attr) == dev_of(layer_attr_);
}

std::string LayerWalk::visit(const Dir& dir, std::vector<Dir>* below) {
  upper_dir_.reset();
  lower_dir_.reset();
  const bool ours = dir.node != nullptr && dir.node->is_dir();
  if (ours) {
    upper_dir_ = open_deep(view_.layer->upper_fd(), dir.path);
    if (!upper_dir_) return at(dir.path, errno);
  }
  if (dir.has_lower && (!ours || dir.whole || linked_.dirs.count(dir.path) != 0)) {
    if (std::string error = need_lower(); !error.empty()) return error;
    lower_dir_ = open_deep(lower_.get(), dir.lower);
    if (!lower_dir_) return at(dir.path, errno);
    const auto attr = lstat_at(lower_dir_.get(), "");
    if (attr && is_layer(*attr)) return {};  // a view doesn't show the layer that it writes
  }
  Children children;
  std::string error = emit_dir(dir);
  if (error.empty()) error = emit_marks(dir);
  if (error.empty()) error = children_of(dir, &children);
  for (const auto& [name, child] : children) {
    if (!error.empty()) return error;
    if (!child.dir) {
      error = emit_file(dir, name, child);
    } else {
      below->push_back(child_dir(dir, name, child));
    }
  }
  return error;
}

std::string LayerWalk::emit_dir(const Dir& dir) {
  const bool ours = static_cast<bool>(upper_dir_);
  const int fd = ours ? upper_dir_.get() : lower_dir_.get();
  const auto attr = lstat_at(fd, "");
  if (!attr) return at(dir.path, attr.error().value());
  TransferNode node;
  node.path = dir.path;
  node.attr = *attr;
  if (ours) override_attr(dir.node->meta.get(), &node.attr);
  auto xattrs = read_xattrs(LongPath(fd, "."));
  if (!xattrs) return at(dir.path, xattrs.error().value());
  node.xattrs = std::move(*xattrs);
  if (std::string error = sink_.node(node, nullptr); !error.empty()) return error;
  return meter_.step(1, 0);
}

std::string LayerWalk::emit_marks(const Dir& dir) {
  if (dir.covers) {
    if (std::string error = sink_.opaque(dir.path); !error.empty()) return error;
  }
  if (dir.whole || !dir.has_lower || dir.node == nullptr || !dir.node->children) return {};
  std::set<std::string> names;
  for (const auto& [name, node] : *dir.node->children) {
    if (node->hidden && !node->present()) names.emplace(name);
  }
  for (const std::string& name : names) {
    if (std::string error = sink_.whiteout(join(dir.path, name)); !error.empty()) return error;
    meter_.whiteout();
  }
  return {};
}

std::string LayerWalk::add_lower(const Dir& dir, Children* out) {
  const auto entries = list_sorted(lower_dir_.get());
  if (!entries) return at(dir.path, entries.error().value());
  const auto linked = linked_.names.find(dir.path);
  for (const DeepEntry& entry : *entries) {
    const Node* node = dir.node == nullptr ? nullptr : dir.node->child(entry.name);
    if (node != nullptr && (node->hidden || node->present())) continue;
    const bool shown = linked != linked_.names.end() && linked->second.count(entry.name) != 0;
    const bool above = linked_.dirs.count(join(dir.path, entry.name)) != 0;
    if (!dir.whole && !shown && !above) continue;
    NodeType type = entry.type;
    if (type == NodeType::kUnknown) {
      const auto attr = lstat_at(lower_dir_.get(), entry.name);
      if (!attr) return at(join(dir.path, entry.name), attr.error().value());
      type = type_of_mode(attr->stx_mode);
    }
    (*out)[entry.name] = {nullptr, type == NodeType::kDirectory};
  }
  return {};
}

std::string LayerWalk::children_of(const Dir& dir, Children* out) {
  if (dir.node != nullptr && dir.node->children) {
    for (const auto& [name, node] : *dir.node->children) {
      if (node->present()) (*out)[std::string(name)] = {node.get(), node->is_dir()};
    }
  }
  return lower_dir_ ? add_lower(dir, out) : std::string();
}

LayerWalk::Dir LayerWalk::child_dir(const Dir& dir, const std::string& name,
                                    const Child& child) const {
  Dir out;
  out.node = child.node != nullptr ? child.node
             : dir.node == nullptr ? nullptr
                                   : dir.node->child(name);
  out.path = join(dir.path, name);
  const std::string position = dir.has_lower ? join(dir.lower, name) : std::string();
  const bool moved =
      child.node != nullptr && child.node->merged() && !child.node->meta->redirect.empty();
  const bool own = child.node != nullptr && !child.node->merged();
  out.has_lower = !own && (moved || dir.has_lower);
  out.lower = moved ? child.node->meta->redirect : own ? std::string() : position;
  out.whole = dir.whole || moved;
  if (dir.whole || !dir.has_lower || !(moved || own)) return out;
  // Something else than the lower's directory is here: nothing of that must be seen.
  if (lower_) {
    const auto attr = lstat_deep(lower_.get(), position);
    out.covers = attr && S_ISDIR(attr->stx_mode);
  } else {
    out.covers = child.node->hidden;
  }
  return out;
}

std::string LayerWalk::emit_file(const Dir& dir, const std::string& name, const Child& child) {
  TransferNode out;
  out.path = join(dir.path, name);
  if (child.node != nullptr && child.node->state == Node::State::kUpper) {
    return emit_from(upper_dir_.get(), name, child.node->meta.get(), true, &out);
  }
  if (std::string error = need_lower(); !error.empty()) return error;
  const Meta* meta = child.node != nullptr ? child.node->meta.get() : nullptr;
  std::string lower = join(dir.lower, name);
  if (meta != nullptr && !meta->redirect.empty()) lower = meta->redirect;
  UniqueFd parent = open_deep(lower_.get(), parent_of(lower));
  if (!parent) return at(out.path, errno);
  const std::string lower_name(name_of(lower));
  const auto attr = lstat_at(parent.get(), lower_name);
  if (!attr) return at(out.path, attr.error().value());
  const auto linked = view_.index.linked().find({dev_of(*attr), attr->stx_ino});
  if (linked == view_.index.linked().end() || !linked->second.anchor || !S_ISREG(attr->stx_mode)) {
    return emit_from(parent.get(), lower_name, meta, false, &out);
  }
  // Another name of a file that was copied: it shows the copy.
  const std::string anchor = link_name(linked->second.state);
  const auto copy = lstat_at(view_.layer->links_fd(), anchor);
  if (!copy) return at(out.path, copy.error().value());
  const auto other = by_upper_ino_.find(copy->stx_ino);
  if (other != by_upper_ino_.end()) meta = other->second;
  return emit_from(view_.layer->links_fd(), anchor, meta, true, &out);
}

std::string LayerWalk::emit_from(int dir_fd, const std::string& name, const Meta* meta, bool ours,
                                 TransferNode* out) {
  const auto attr = lstat_at(dir_fd, name);
  if (!attr) return at(out->path, attr.error().value());
  out->attr = *attr;
  override_attr(meta, &out->attr);
  std::string error;
  if (attr->stx_nlink > 1) {
    const auto [known, fresh] = first_names_.try_emplace({dev_of(*attr), attr->stx_ino}, out->path);
    if (!fresh) {
      out->link = known->second;
      error = sink_.node(*out, nullptr);
      return error.empty() ? meter_.step(1, 0) : error;
    }
  }
  auto xattrs = ours ? read_own_xattrs_at(dir_fd, name) : read_xattrs(LongPath(dir_fd, name));
  if (!xattrs) return at(out->path, xattrs.error().value());
  out->xattrs = std::move(*xattrs);
  if (S_ISLNK(attr->stx_mode)) {
    const auto target = read_link(dir_fd, name);
    if (!target) return at(out->path, target.error().value());
    out->target = *target;
  }
  error =
      S_ISREG(attr->stx_mode) ? emit_content(dir_fd, name, ours, *out) : sink_.node(*out, nullptr);
  return error.empty() ? meter_.step(1, 0) : error;
}

std::string LayerWalk::emit_content(int dir_fd, const std::string& name, bool ours,
                                    const TransferNode& node) {
  const auto native = lstat_at(dir_fd, name);
  UniqueFd fd = native ? open_content(dir_fd, name, *native, ours) : UniqueFd();
  if (!fd) return at(node.path, errno);
  FileContent content(std::move(fd), node.attr.stx_size);
  return sink_.node(node, &content);
}

}  // namespace viewsh::viewfs
