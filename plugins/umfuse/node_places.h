#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "image.h"

namespace viewsh {

/// Where a node was found: a name in a directory.
struct NodePlace {
  NodeId parent = 0;
  std::string name;
  bool operator==(const NodePlace&) const = default;
};

/// The names by which nodes were reached, so that a path can be said for a node. A name that nobody
/// asked for isn't known.
class NodePlaces {
 public:
  void add(NodeId node, const NodePlace& place) {
    std::vector<NodePlace>& known = places_[node];
    if (!known.empty() && known.back() == place) return;
    std::erase(known, place);
    known.push_back(place);
  }
  /// The name is gone, or leads elsewhere.
  void remove(NodeId node, const NodePlace& place) {
    const auto known = places_.find(node);
    if (known == places_.end()) return;
    std::erase(known->second, place);
    if (known->second.empty()) places_.erase(known);
  }
  void erase(NodeId node) { places_.erase(node); }
  /// The one that was reached last; null: none is known.
  const NodePlace* of(NodeId node) const {
    const auto known = places_.find(node);
    return known == places_.end() ? nullptr : &known->second.back();
  }

 private:
  std::unordered_map<NodeId, std::vector<NodePlace>> places_;
};

}  // namespace viewsh
