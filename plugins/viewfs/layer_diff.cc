// What a layer changes, and whether the lower is still what it was then.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "cow_host.h"
#include "deep_path.h"
#include "host_ops.h"
#include "layer_view.h"
#include "same_content.h"

namespace viewsh::viewfs {
namespace {

std::vector<Node*> sorted_children(const Node* dir) {
  std::vector<Node*> out;
  if (dir->children) {
    for (auto& [name, child] : *dir->children) out.push_back(child.get());
  }
  std::sort(out.begin(), out.end(), [](Node* a, Node* b) { return a->name < b->name; });
  return out;
}

class Differ {
 public:
  Differ(LayerView* view, Detail detail) : view_(view), detail_(detail) {}

  std::vector<NodeChange> run() {
    Node* root = view_->index.root();
    if (root->meta->changed) {
      NodeChange c = base(root, "", true, "");
      c.change.metadata = true;
      c.change.lower = view_->lower_host("");
      out_.push_back(std::move(c));
    }
    directory(root, "", true, "", "");
    // Over a tree that is not the host's there is nothing to be shown of it.
    if (!view_->knows_lower()) {
      for (NodeChange& c : out_) c.change.lower.clear();
    }
    return std::move(out_);
  }

 private:
  NodeChange base(Node* node, const std::string& path, bool has_lower, const std::string& lower) {
    NodeChange c;
    c.node = node;
    c.path = path;
    c.has_lower = has_lower;
    c.lower = lower;
    c.change.path = view_->view_path(path);
    c.change.type = node->type;
    if (node->state == Node::State::kUpper) c.change.upper = view_->upper_host(path);
    return c;
  }

  /// What the lower has at a position; of a tree that is not the host's what the layer noted of it.
  Result<Attr> lower_attr(bool has_lower, const std::string& old, const Node& node) {
    if (!has_lower) return Errno(ENOENT);
    if (view_->knows_lower()) {
      auto known = view_->survey.lower(&node);
      return known ? std::move(*known) : lower_.lstat(old);
    }
    const bool copied = node.meta && node.meta->origin;
    if (!copied && !node.hidden_state) return Errno(ENOENT);
    Attr attr{};
    attr.stx_mode =
        static_cast<uint16_t>(copied ? node.meta->origin->mode : node.hidden_state->mode);
    return attr;
  }

  /// `content` and `metadata` of an upper node against a host path of the lower; `home`: that of
  /// its position.
  void compare(NodeChange* c, const std::string& old, const Result<Attr>& a, bool home) {
    if (c->node->merged()) {
      // What else differs was done to the lower meanwhile.
      c->change.metadata = c->node->meta->changed;
      return;
    }
    if (!view_->knows_lower()) {
      c->change.content = true;
      return;
    }
    const auto b = upper_attr(*c);
    if (!a || !b) return;
    const Meta* meta = c->node->meta.get();
    const uint32_t mode = meta != nullptr && meta->mode ? *meta->mode : b->stx_mode & 07777u;
    const bool times = file_time(a->stx_mtime) != file_time(b->stx_mtime);
    c->change.metadata =
        (a->stx_mode & 07777u) != mode || (meta != nullptr && meta->changed) ||
        ((meta == nullptr || !meta->uid) && (a->stx_uid != b->stx_uid || a->stx_gid != b->stx_gid));
    if (c->node->type == NodeType::kDirectory) return;
    if (detail_ == Detail::kWhether && (c->change.metadata || times)) {
      c->change.metadata = true;
      return;
    }
    // Size and time don't tell: cp -p, tar(1) and others set the time of what they wrote.
    c->change.content = !has_content_of(*c, old, *a, *b, home);
    c->change.metadata = c->change.metadata || (times && !c->change.content);
    if (c->change.metadata || (home && view_->survey.plain(c->node))) return;
    c->change.metadata = !same_xattrs(lower_.xattrs(old), upper_xattrs(*c));
  }

  /// Of the host path `old`.
  bool has_content_of(const NodeChange& c, const std::string& old, const Attr& a, const Attr& b,
                      bool home) {
    if (S_ISREG(a.stx_mode) && S_ISREG(b.stx_mode) && a.stx_size != b.stx_size) return false;
    const auto known = home ? view_->survey.same_content(c.node) : std::nullopt;
    return known ? *known : same_content(old, c.change.upper);
  }

  Result<Attr> upper_attr(const NodeChange& c) {
    if (view_->frozen || c.change.upper.empty()) return view_->upper_attr(c.path);
    if (const auto known = view_->survey.upper(c.node)) return *known;
    return upper_.lstat(c.change.upper);
  }
  Result<Xattrs> upper_xattrs(const NodeChange& c) {
    if (view_->frozen || c.change.upper.empty()) return view_->upper_xattrs(c.path);
    return upper_.xattrs(c.change.upper);
  }

  void file(Node* node, const std::string& path, bool has_lower, const std::string& lower,
            const std::string& replaced) {
    NodeChange c = base(node, path, has_lower, lower);
    const std::string source = node->meta ? node->meta->redirect : std::string();
    // Of several names for what has none in the lower any more, one was the rename.
    const bool renamed =
        !source.empty() && !view_->shown_at_home(source) && renamed_.insert(source).second;
    if (renamed) {
      c.change.kind = Change::Kind::kRenamed;
      c.change.old_path = view_->view_path(source);
      c.change.lower = view_->lower_host(source);
      if (node->state == Node::State::kUpper) {
        compare(&c, c.change.lower, lower_.lstat(c.change.lower), false);
      }
      out_.push_back(std::move(c));
      return;
    }
    const bool above = !has_lower && !replaced.empty();
    const std::string old = view_->lower_host(above ? replaced : lower);
    const auto attr = above ? lower_.lstat(old) : lower_attr(has_lower, old, *node);
    if (!attr) {
      c.change.kind = Change::Kind::kAdded;
    } else {
      c.change.lower = old;
      const bool same_type = type_of_mode(attr->stx_mode) == node->type;
      c.change.kind = same_type ? Change::Kind::kChanged : Change::Kind::kTypeChanged;
      if (node->state == Node::State::kRef) c.change.metadata = true;
      if (same_type && node->state == Node::State::kUpper) compare(&c, old, attr, !above);
      if (same_type && !c.change.content && !c.change.metadata) return;
    }
    out_.push_back(std::move(c));
  }

  void deleted(Node* node, const std::string& path, const std::string& lower, mode_t mode) {
    if (view_->sources.count(lower) != 0) return;
    NodeChange c = base(node, path, true, lower);
    c.change.kind = Change::Kind::kDeleted;
    c.change.type = type_of_mode(mode);
    c.change.lower = view_->lower_host(lower);
    out_.push_back(std::move(c));
  }

  /// What the lower had in a directory that another one took the place of.
  void replaced_dir(Node* dir, const std::string& path, const std::string& lower) {
    if (view_->layer->lower().empty() || view_->sources.count(lower) != 0) return;
    auto entries = host_ops::list_dir(view_->lower_host(lower));
    if (!entries) return;
    std::sort(entries->begin(), entries->end(),
              [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    for (const DirEntry& entry : *entries) {
      const Node* child = dir->child(entry.name);
      const std::string old = join(lower, entry.name);
      if ((child != nullptr && child->present()) || view_->sources.count(old) != 0) continue;
      if (dir->merged() && !(child != nullptr && child->hidden) &&
          lstat_at(AT_FDCWD, view_->lower_host(join(dir->meta->redirect, entry.name)))) {
        continue;  // the directory that came has such a name, too
      }
      NodeChange c = base(dir, join(path, entry.name), false, "");
      c.implied = true;
      c.change.kind = Change::Kind::kDeleted;
      c.change.type = entry.type;
      c.change.lower = view_->lower_host(old);
      c.change.upper.clear();
      if (dir->merged()) c.change.old_path = c.change.path;
      out_.push_back(std::move(c));
    }
  }

  /// `replaced`: the lower path of the same name in a directory that went as a whole, or empty.
  void child_dir(Node* node, const std::string& path, bool has_lower, const std::string& lower,
                 const std::string& replaced) {
    NodeChange c = base(node, path, has_lower, lower);
    const std::string old = view_->lower_host(lower);
    if (node->merged()) {
      const std::string& source = node->meta->redirect;
      if (!source.empty()) {
        c.change.kind = Change::Kind::kRenamed;
        c.change.old_path = view_->view_path(source);
        c.change.lower = view_->lower_host(source);
        out_.push_back(std::move(c));
        const bool replaces = node->hidden && node->hidden_state;
        const std::string& gone = replaces ? lower : replaced;
        if (!gone.empty()) replaced_dir(node, path, gone);
        directory(node, path, true, source, "");
        return;
      }
      compare(&c, old, Errno(ENOENT), true);
      c.change.lower = old;
      if (c.change.metadata) out_.push_back(std::move(c));
      directory(node, path, true, lower, "");
      return;
    }
    new_dir(std::move(c), node, path, has_lower ? lower : replaced);
  }

  /// A directory that is all the view has there. `lower`: what it took the place of, or empty.
  void new_dir(NodeChange c, Node* node, const std::string& path, const std::string& lower) {
    const std::string old = view_->lower_host(lower);
    const bool elsewhere = view_->sources.count(lower) != 0;
    const auto attr =
        elsewhere || lower.empty() ? Result<Attr>(Errno(ENOENT)) : lower_attr(true, old, *node);
    const bool replaces = attr && S_ISDIR(attr->stx_mode);
    if (replaces) {
      c.change.lower = old;
      c.change.kind = Change::Kind::kChanged;  // everything in it was deleted first
      c.change.content = true;
    } else {
      c.change.kind = attr ? Change::Kind::kTypeChanged : Change::Kind::kAdded;
      if (attr) c.change.lower = old;
    }
    out_.push_back(std::move(c));
    if (replaces) replaced_dir(node, path, lower);
    directory(node, path, false, "", replaces ? lower : std::string());
  }

  void directory(Node* dir, const std::string& path, bool has_lower, const std::string& lower,
                 const std::string& replaced) {
    for (Node* node : sorted_children(dir)) {
      const std::string child_path = join(path, node->name);
      const std::string child_lower = has_lower ? join(lower, node->name) : std::string();
      const std::string old = replaced.empty() ? std::string() : join(replaced, node->name);
      if (!node->present()) {
        if (node->hidden && node->hidden_state) {
          deleted(node, child_path, child_lower, node->hidden_state->mode);
        }
      } else if (node->is_dir()) {
        child_dir(node, child_path, has_lower, child_lower, old);
      } else {
        file(node, child_path, has_lower, child_lower, old);
      }
    }
  }

  LayerView* view_;
  const Detail detail_;
  Near lower_, upper_;
  std::set<std::string> renamed_;  ///< lower paths whose rename was told
  std::vector<NodeChange> out_;
};

}  // namespace

std::vector<NodeChange> changes_of(LayerView* view, Detail detail) {
  view->survey.take(*view, Survey::Xattrs::kPairs, detail);
  return Differ(view, detail).run();
}

}  // namespace viewsh::viewfs
