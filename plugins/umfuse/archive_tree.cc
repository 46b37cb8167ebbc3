#include "archive_tree.h"

#include <climits>

namespace viewsh {
namespace {

constexpr uint64_t kNodeCost = sizeof(ArchiveNode) + 96;  // with its name in a map
constexpr uint64_t kDirectoryCost = 64;

/// The next component that says something; empty: there is none.
std::string_view next_name(std::string_view* rest) {
  while (!rest->empty()) {
    const size_t end = std::min(rest->find('/'), rest->size());
    const std::string_view name = rest->substr(0, end);
    rest->remove_prefix(std::min(end + 1, rest->size()));
    if (!name.empty() && name != ".") return name;
  }
  return {};
}

bool fits(std::string_view name) { return name != ".." && name.size() <= NAME_MAX; }

}  // namespace

ArchiveTree::ArchiveTree(ArchiveNode plain)
    : plain_mode_(plain.mode),
      plain_uid_(plain.uid),
      plain_gid_(plain.gid),
      plain_time_(plain.mtime) {
  nodes_.push_back(this->plain());
  ArchiveNode& root = nodes_.back();
  root.links = 2;
  root.parent = kRoot;
  root.children = std::make_unique<std::map<std::string, NodeId, std::less<>>>();
  count_ = 1;
}

ArchiveNode ArchiveTree::plain() const {
  ArchiveNode node;
  node.mode = S_IFDIR | plain_mode_;
  node.uid = plain_uid_;
  node.gid = plain_gid_;
  node.mtime = node.atime = node.ctime = plain_time_;
  return node;
}

bool ArchiveTree::charge(uint64_t bytes) {
  if (memory_ + bytes > kMostMemory || count_ >= kMostNodes) return false;
  memory_ += bytes;
  return true;
}

NodeId ArchiveTree::make(ArchiveNode node) {
  nodes_.push_back(std::move(node));
  ArchiveNode& made = nodes_.back();
  made.links = 0;
  if (made.is_dir()) made.children = std::make_unique<std::map<std::string, NodeId, std::less<>>>();
  ++count_;
  return nodes_.size();
}

void ArchiveTree::put(const Place& place, NodeId id) {
  ArchiveNode& dir = at(place.dir);
  dir.children->emplace(place.name, id);
  ArchiveNode& node = at(id);
  ++node.links;
  if (!node.is_dir()) return;
  node.links = 2;
  node.parent = place.dir;
  ++dir.links;
}

/// As unpacking does it: a file goes, and a directory if it is empty.
bool ArchiveTree::remove(const Place& place) {
  ArchiveNode& dir = at(place.dir);
  const auto found = dir.children->find(place.name);
  if (found == dir.children->end()) return true;
  ArchiveNode& node = at(found->second);
  if (node.is_dir()) {
    if (!node.children->empty()) return false;
    node.links = 0;
    --dir.links;
  } else {
    --node.links;
  }
  if (node.links == 0) {
    node = ArchiveNode{};
    --count_;
  }
  dir.children->erase(found);
  return true;
}

ArchiveTree::Place ArchiveTree::place_of(std::string_view path, Taken* taken) {
  Place place{kRoot, {}};
  std::string_view rest = path;
  *taken = Taken::kLeftOut;
  for (std::string_view name = next_name(&rest); !name.empty();) {
    if (!fits(name)) return {};
    const std::string_view after = next_name(&rest);
    if (after.empty()) {
      place.name = name;
      break;
    }
    const auto& children = *at(place.dir).children;
    const auto found = children.find(name);
    if (found != children.end()) {
      // What is below a link or a file would be unpacked somewhere else, or not at all.
      if (!at(found->second).is_dir()) return {};
      place.dir = found->second;
    } else {
      if (!fits(after)) return {};
      if (!charge(kNodeCost + kDirectoryCost + name.size())) {
        *taken = Taken::kFull;
        return {};
      }
      const NodeId made = make(plain());
      put({place.dir, std::string(name)}, made);
      place.dir = made;
    }
    name = after;
  }
  *taken = Taken::kYes;
  return place;
}

NodeId ArchiveTree::find(std::string_view path) const {
  NodeId id = kRoot;
  for (std::string_view name = next_name(&path); !name.empty(); name = next_name(&path)) {
    const ArchiveNode& node = nodes_[id - 1];
    if (!node.is_dir()) return 0;
    const auto found = node.children->find(name);
    if (found == node.children->end()) return 0;
    id = found->second;
  }
  return id;
}

ArchiveTree::Taken ArchiveTree::add(std::string_view path, ArchiveNode node) {
  const bool usable =
      !S_ISLNK(node.mode) || (!node.target.empty() && node.target.size() < PATH_MAX);
  if (!usable) return Taken::kLeftOut;
  Taken taken = Taken::kYes;
  Place place = place_of(path, &taken);
  if (place.dir == 0) return taken;
  if (place.name.empty() && !node.is_dir()) return Taken::kLeftOut;
  NodeId old = kRoot;
  if (!place.name.empty()) {
    const auto& children = *at(place.dir).children;
    const auto found = children.find(place.name);
    old = found == children.end() ? 0 : found->second;
  }
  node.own_entry = true;
  uint64_t cost = 0;
  if (node.xattrs) {
    for (const auto& [name, value] : *node.xattrs) cost += 64 + name.size() + value.size();
  }
  if (old != 0 && node.is_dir() && at(old).is_dir()) {
    if (!charge(cost)) return Taken::kFull;
    ArchiveNode& known = at(old);
    node.links = known.links;
    node.parent = known.parent;
    node.children = std::move(known.children);
    known = std::move(node);
    return Taken::kYes;
  }
  cost += kNodeCost + place.name.size() + node.target.size();
  if (node.is_dir()) cost += kDirectoryCost;
  if (!charge(cost)) return Taken::kFull;
  if (!remove(place)) return Taken::kLeftOut;
  const NodeId made = make(std::move(node));
  put(place, made);
  return Taken::kYes;
}

ArchiveTree::Taken ArchiveTree::add_link(std::string_view path, std::string_view target,
                                         const ArchiveNode& node) {
  const NodeId id = find(target);
  if (id == 0 || at(id).is_dir()) return Taken::kLeftOut;
  Taken taken = Taken::kYes;
  const Place place = place_of(path, &taken);
  if (place.dir == 0) return taken;
  if (place.name.empty()) return Taken::kLeftOut;
  if (find(path) != id) {
    if (!charge(64 + place.name.size())) return Taken::kFull;
    if (!remove(place)) return Taken::kLeftOut;
    put(place, id);
  }
  // cpio writes the content of a file with its last name.
  ArchiveNode& known = at(id);
  if (S_ISREG(known.mode) && S_ISREG(node.mode) && node.size > 0) {
    known.size = node.size;
    known.blocks = node.blocks;
    known.ordinal = node.ordinal;
    known.data_at = node.data_at;
    known.entry_at = node.entry_at;
  }
  return Taken::kYes;
}

Result<const ArchiveNode*> ArchiveTree::node(NodeId id) const {
  if (id == 0 || id > nodes_.size() || nodes_[id - 1].links == 0) return Errno(ESTALE);
  return &nodes_[id - 1];
}

}  // namespace viewsh
