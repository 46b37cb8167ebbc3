#include "outside/node_table.h"

#include <algorithm>

#include "base/path.h"

namespace viewsh {

NodeTable::NodeTable() {
  auto root = std::make_unique<ServedNode>();
  root->id = kServedRoot;
  root->directory = true;
  root->lookups = 1;
  nodes_.emplace(kServedRoot, std::move(root));
}

ServedNode* NodeTable::find(ServedId id) {
  auto it = nodes_.find(id);
  return it == nodes_.end() ? nullptr : it->second.get();
}

ServedNode* NodeTable::child(ServedNode* parent, std::string_view name) {
  auto it = parent->children.find(name);
  return it == parent->children.end() ? nullptr : it->second;
}

std::optional<std::string> NodeTable::path_of(const ServedNode& node) {
  std::vector<const std::string*> names;
  const ServedNode* here = &node;
  while (here->id != kServedRoot) {
    if (here->names.empty()) return std::nullopt;
    names.push_back(&here->names.back().name);
    here = here->names.back().parent;
  }
  if (names.empty()) return "/";
  std::string path;
  for (auto it = names.rbegin(); it != names.rend(); ++it) path.append("/").append(**it);
  return path;
}

void NodeTable::attach(ServedNode* node, ServedNode* parent, const std::string& name) {
  node->names.push_back({parent, name});
  node->last.reset();
  parent->children[name] = node;
  if (!node->directory) by_key_[node->key] = node;
}

/// The number of a file without a name may be given to another one.
void NodeTable::no_longer(ServedNode* node) {
  auto it = by_key_.find(node->key);
  if (it != by_key_.end() && it->second == node) by_key_.erase(it);
}

void NodeTable::detach(ServedNode* node, const ServedNode::Name& name) {
  name.parent->children.erase(name.name);
  std::erase(node->names, ServedNode::Name(name));
  if (node->names.empty()) no_longer(node);
}

ServedNode* NodeTable::found(ServedNode* parent, const std::string& name, const NodeKey& key,
                             const Attr& attr) {
  const bool directory = S_ISDIR(attr.stx_mode);
  ServedNode* known = child(parent, name);
  if (known != nullptr && (known->key != key || known->directory != directory)) {
    // Somebody else put another node there.
    detach(known, {parent, name});
    settle(known);
    known = nullptr;
  }
  if (known == nullptr && !directory) {
    auto it = by_key_.find(key);
    if (it != by_key_.end()) known = it->second;
    // With a single name it was moved by somebody else.
    if (known != nullptr && attr.stx_nlink <= 1) {
      const std::vector<ServedNode::Name> old = known->names;
      for (const ServedNode::Name& gone : old) {
        detach(known, gone);
        settle(gone.parent);
      }
    }
  }
  if (known == nullptr) {
    auto made = std::make_unique<ServedNode>();
    known = made.get();
    known->id = next_++;
    known->key = key;
    known->directory = directory;
    nodes_.emplace(known->id, std::move(made));
  }
  const ServedNode::Name at{parent, name};
  auto place = std::find(known->names.begin(), known->names.end(), at);
  if (place == known->names.end()) {
    attach(known, parent, name);
  } else {
    std::rotate(place, place + 1, known->names.end());
  }
  ++known->lookups;
  return known;
}

ServedNode* NodeTable::remove(ServedNode* parent, std::string_view name) {
  ServedNode* node = child(parent, name);
  if (node != nullptr) detach(node, {parent, std::string(name)});
  return node;
}

ServedNode* NodeTable::rename(ServedNode* from, const std::string& name, ServedNode* to,
                              const std::string& new_name, bool exchange) {
  ServedNode* moved = child(from, name);
  ServedNode* other = child(to, new_name);
  // Two names of one file: nothing was done. rename(2)
  if (moved == other) return nullptr;
  if (other != nullptr) detach(other, {to, new_name});
  if (moved != nullptr) {
    detach(moved, {from, name});
    attach(moved, to, new_name);
  }
  if (exchange && other != nullptr) attach(other, from, name);
  return exchange ? nullptr : other;
}

void NodeTable::forget(ServedNode* node, uint64_t count) {
  node->lookups -= std::min(count, node->lookups);
  settle(node);
}

void NodeTable::settle(ServedNode* node) {
  while (node != nullptr && node->id != kServedRoot && node->lookups == 0 && node->files.empty() &&
         node->children.empty()) {
    // The directories that its names held may be free then, too.
    ServedNode* parent = nullptr;
    while (!node->names.empty()) {
      const ServedNode::Name name = node->names.back();
      detach(node, name);
      if (parent != nullptr && parent != name.parent) settle(parent);
      parent = name.parent;
    }
    nodes_.erase(node->id);
    node = parent;
  }
}

}  // namespace viewsh
