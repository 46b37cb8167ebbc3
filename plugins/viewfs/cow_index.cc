#include "cow_index.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>

#include "viewsh/long_path.h"

namespace viewsh::viewfs {

std::string join(std::string_view dir, std::string_view name) {
  if (name.empty()) return std::string(dir);
  std::string out;
  out.reserve(dir.size() + name.size() + 1);
  out = dir;
  if (!out.empty()) out += '/';
  out += name;
  return out;
}

std::string_view parent_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view next_component(std::string_view* rest) {
  const size_t slash = rest->find('/');
  const std::string_view name = rest->substr(0, slash);
  rest->remove_prefix(slash == std::string_view::npos ? rest->size() : slash + 1);
  return name;
}

Node* Node::child(std::string_view child_name) const {
  if (!children) return nullptr;
  const auto it = children->find(child_name);
  return it == children->end() ? nullptr : it->second.get();
}

Index::Index() : root_(std::make_unique<Node>()) {
  root_->state = Node::State::kUpper;
  root_->type = NodeType::kDirectory;
  root_->meta = std::make_unique<Meta>();
  root_->meta->kind = Meta::Kind::kMerged;
  root_->meta->type = NodeType::kDirectory;
}

Node* Index::find(std::string_view path) const {
  Node* node = root_.get();
  while (node != nullptr && !path.empty()) node = node->child(next_component(&path));
  return node;
}

Node* Index::make_child(Node* dir, std::string_view name) {
  if (Node* old = dir->child(name)) return old;
  auto node = std::make_unique<Node>();
  Node* out = node.get();
  node->parent = dir;
  node->name = name;
  if (!dir->children) dir->children = std::make_unique<Node::Children>();
  dir->children->emplace(std::string_view(out->name), std::move(node));
  if (on_place) on_place(out);
  return out;
}

Node* Index::make(std::string_view path) {
  Node* node = root_.get();
  while (!path.empty()) node = make_child(node, next_component(&path));
  return node;
}

std::string Index::path_of(const Node* node) {
  if (node->parent == nullptr) return {};
  std::vector<const Node*> chain;
  size_t size = 0;
  for (; node->parent != nullptr; node = node->parent) {
    chain.push_back(node);
    size += node->name.size() + 1;
  }
  std::string out;
  out.reserve(size);
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
    if (!out.empty()) out += '/';
    out += (*it)->name;
  }
  return out;
}

std::string Index::lower_path_of(const Node* node) {
  std::vector<const Node*> chain;
  for (; node->parent != nullptr && !(node->meta && !node->meta->redirect.empty());
       node = node->parent) {
    chain.push_back(node);
  }
  std::string out = node->parent == nullptr ? std::string() : node->meta->redirect;
  for (auto it = chain.rbegin(); it != chain.rend(); ++it) out = join(out, (*it)->name);
  return out;
}

void Index::prune(Node* node) {
  while (node->parent != nullptr && !node->present() && !node->hidden &&
         (!node->children || node->children->empty())) {
    Node* parent = node->parent;
    parent->children->erase(std::string_view(node->name));
    node = parent;
  }
}

void Index::forget_below(Node* node) {
  if (!node->children) return;
  for (auto& [name, child] : *node->children) {
    forget_below(child.get());
    if (on_remove) on_remove(child.get());
  }
  node->children.reset();
}

void Index::drop(Node* node) {
  forget_below(node);
  if (on_remove) on_remove(node);
  if (node->type == NodeType::kDirectory) node->links_changed();
  if (node->merged()) directory_changed();
  node->state = Node::State::kNone;
  node->type = NodeType::kUnknown;
  node->loaded = node->special = node->lower_gone = false;
  node->may_change = node->snapshotted = -1;
  node->meta.reset();
  node->lower_attr.reset();
  node->lower_host.clear();
  node->target.clear();
}

void Index::remove(Node* node) {
  drop(node);
  prune(node);
}

namespace {

/// What belongs to a position and not to the node that is there.
void swap_positions(Node* a, Node* b) {
  std::swap(a->hidden, b->hidden);
  std::swap(a->hidden_state, b->hidden_state);
}

std::unique_ptr<Node> take(Node* node) {
  auto handle = node->parent->children->extract(std::string_view(node->name));
  return std::move(handle.mapped());
}

}  // namespace

void Index::place_all(const Node* node) const {
  if (!on_place) return;
  on_place(node);
  if (!node->children) return;
  for (const auto& [name, child] : *node->children) place_all(child.get());
}

Node* Index::put(Node* dir, std::unique_ptr<Node> node, std::string name) const {
  Node* out = node.get();
  out->parent = dir;
  out->name = std::move(name);
  out->lower_absent = false;
  if (out->meta) dir->special = true;
  dir->links_known = false;
  if (!dir->children) dir->children = std::make_unique<Node::Children>();
  dir->children->emplace(std::string_view(out->name), std::move(node));
  place_all(out);
  return out;
}

Node* Index::move(Node* from, std::string_view to) {
  Node* old = make(to);
  if (old == from) return from;
  drop(old);
  if (from->merged()) directory_changed();
  Node* dir = old->parent;
  Node* from_dir = from->parent;
  std::unique_ptr<Node> place = take(old);
  std::unique_ptr<Node> moved = take(from);
  swap_positions(place.get(), moved.get());
  const std::string from_name = moved->name;
  std::string to_name = place->name;
  Node* out = put(dir, std::move(moved), std::move(to_name));
  prune(put(from_dir, std::move(place), from_name));
  return out;
}

void Index::swap(Node* a, Node* b) {
  if (a->merged() || b->merged()) directory_changed();
  Node* a_dir = a->parent;
  Node* b_dir = b->parent;
  std::unique_ptr<Node> first = take(a);
  std::unique_ptr<Node> second = take(b);
  swap_positions(a, b);
  std::string a_name = a->name;
  std::string b_name = b->name;
  put(b_dir, std::move(first), std::move(b_name));
  put(a_dir, std::move(second), std::move(a_name));
}

void Index::set_node(const Record& r) {
  Node* node = make(r.path);
  const Meta* old = node->meta.get();
  // A container for what changes below changes nothing else.
  const bool container = old == nullptr && !r.meta.changed && r.meta.redirect.empty();
  const bool merged = node->merged() || r.meta.kind == Meta::Kind::kMerged;
  auto meta = std::make_unique<Meta>(r.meta);
  if (old != nullptr && meta->upper_ino == 0) {
    meta->upper_ino = old->upper_ino;
    meta->copied_ctime = old->copied_ctime;
  }
  node->meta = std::move(meta);
  if (r.meta.type == NodeType::kDirectory) {
    node->links_changed();
    if (merged && !container) directory_changed();
  }
  node->type = r.meta.type;
  node->state = r.meta.kind == Meta::Kind::kRef ? Node::State::kRef : Node::State::kUpper;
  if (node->parent != nullptr) node->parent->special = true;
}

void Index::apply(const Record& r) {
  using Op = Record::Op;
  switch (r.op) {
    case Op::kHide: {
      Node* node = make(r.path);
      node->hidden = true;
      if (S_ISDIR(r.state.mode)) {
        node->links_changed();
        directory_changed();
      }
      node->hidden_state = std::make_unique<LowerState>(r.state);
      break;
    }
    case Op::kShow:
      if (Node* node = find(r.path)) {
        node->hidden = false;
        node->links_changed();
        node->hidden_state.reset();
        prune(node);
      }
      break;
    case Op::kNode:
      set_node(r);
      break;
    case Op::kClear:
      if (Node* node = find(r.path)) remove(node);
      break;
    case Op::kMove:
      if (Node* node = find(r.path)) {
        move(node, r.to);
      } else if (Node* old = find(r.to)) {
        remove(old);
      }
      break;
    case Op::kSwap: {
      Node* a = make(r.path);
      Node* b = make(r.to);
      swap(a, b);
      break;
    }
    case Op::kLinked: {
      const InodeKey key{r.state.dev, r.state.ino};
      if (r.covered >= static_cast<int32_t>(r.state.nlink) || (r.covered == 0 && !r.anchor)) {
        linked_.erase(key);
      } else {
        linked_[key] = {r.state, r.covered, r.anchor};
      }
      break;
    }
  }
}

void Index::apply(const Transaction& transaction) {
  for (const Record& record : transaction.records) apply(record);
}

void Index::each(const std::function<void(Node*)>& visit) const {
  std::vector<Node*> queue{root_.get()};
  for (size_t i = 0; i < queue.size(); ++i) {
    visit(queue[i]);
    if (!queue[i]->children) continue;
    for (auto& [name, child] : *queue[i]->children) queue.push_back(child.get());
  }
}

Transaction Index::snapshot() const {
  Transaction out;
  each([&](Node* node) {
    if (node->hidden && node->hidden_state) {
      out.records.push_back(Record::hide(path_of(node), *node->hidden_state));
    }
    if (node->present() && node->meta && (node->parent != nullptr || node->meta->origin)) {
      out.records.push_back(Record::node(path_of(node), *node->meta));
    }
  });
  for (const auto& [key, linked] : linked_) {
    Record r;
    r.op = Record::Op::kLinked;
    r.state = linked.state;
    r.covered = linked.covered;
    r.anchor = linked.anchor;
    out.records.push_back(std::move(r));
  }
  return out;
}

Result<void> Index::load(Node* dir, const std::string& path, int upper_fd) const {
  if (dir->loaded) return {};
  const PathAt at(upper_fd, path.empty() ? "." : path);
  UniqueFd fd(openat(at.dir(), at.name(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Errno::last();
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return Errno::last();
  const int dir_fd = fd.release();
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    Node* node = dir->child(name);
    if (node == nullptr) {
      auto fresh = std::make_unique<Node>();
      fresh->name = name;
      node = put(dir, std::move(fresh), std::string(name));
    }
    if (node->state == Node::State::kUpper) continue;
    node->state = Node::State::kUpper;
    node->type = static_cast<NodeType>(entry->d_type);
    if (node->type == NodeType::kUnknown) {
      struct stat st {};
      if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        node->type = type_of_mode(st.st_mode);
      }
    }
    node->meta.reset();
  }
  closedir(stream);
  dir->loaded = true;
  dir->links_known = false;
  return {};
}

bool Index::verify(int upper_fd) {
  std::vector<Node*> dangling;
  each([&](Node* node) {
    if (node->state != Node::State::kUpper || !node->meta || node->parent == nullptr) return;
    struct stat st {};
    const PathAt at(upper_fd, path_of(node));
    if (fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        type_of_mode(st.st_mode) == node->meta->type) {
      node->meta->upper_ino = st.st_ino;
    } else {
      dangling.push_back(node);
    }
  });
  // Deepest first: pruning a child may free a parent that isn't dangling, never a dangling one.
  for (auto it = dangling.rbegin(); it != dangling.rend(); ++it) {
    drop(*it);
    prune(*it);
  }
  return !dangling.empty();
}

}  // namespace viewsh::viewfs
