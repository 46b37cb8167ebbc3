#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "outside/served_tree.h"

namespace viewsh {

class OpenNode;

/// What tells a node from every other of a view: its mount, and what the file system says of it.
using NodeKey = std::tuple<int, uint32_t, uint32_t, uint64_t>;

/// A node that the kernel knows of, with the names by which it was found.
struct ServedNode {
  struct Name {
    ServedNode* parent = nullptr;
    std::string name;
    bool operator==(const Name&) const = default;
  };
  ServedId id = 0;
  NodeKey key = {};
  bool directory = false;
  uint64_t lookups = 0;
  std::vector<Name> names;  ///< the last one was seen last; a directory has one at most
  std::map<std::string, ServedNode*, std::less<>> children;
  std::vector<OpenNode*> files;  ///< that are open on it
  std::optional<Attr> last;      ///< of one without a name: what it was like when it had one
};

/// The nodes that a server has told the kernel of. A name in it holds the directory that it is in.
class NodeTable {
 public:
  NodeTable();
  ServedNode* root() { return nodes_.at(kServedRoot).get(); }
  /// Null: there is no such node.
  ServedNode* find(ServedId id);
  /// The canonical view path. Nullopt: it has none any more.
  static std::optional<std::string> path_of(const ServedNode& node);

  /// The node of a name that was just looked at, made if need be, with one look-up more.
  ServedNode* found(ServedNode* parent, const std::string& name, const NodeKey& key,
                    const Attr& attr);
  /// The name leads to nothing any more. Returns what it led to, if that is known.
  ServedNode* remove(ServedNode* parent, std::string_view name);
  /// As rename(2) did it. Returns what lost its name by that, if it is known.
  ServedNode* rename(ServedNode* from, const std::string& name, ServedNode* to,
                     const std::string& new_name, bool exchange);
  void forget(ServedNode* node, uint64_t count);
  /// Frees it where nobody needs it any more.
  void settle(ServedNode* node);

 private:
  static ServedNode* child(ServedNode* parent, std::string_view name);
  void attach(ServedNode* node, ServedNode* parent, const std::string& name);
  void detach(ServedNode* node, const ServedNode::Name& name);
  void no_longer(ServedNode* node);

  std::unordered_map<ServedId, std::unique_ptr<ServedNode>> nodes_;
  std::map<NodeKey, ServedNode*> by_key_;  ///< of files with a name: links share a node
  ServedId next_ = kServedRoot + 1;
};

}  // namespace viewsh
