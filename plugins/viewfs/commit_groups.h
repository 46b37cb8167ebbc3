#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "commit_plan.h"

namespace viewsh::viewfs {

/// What is in upper/ and no directory, with all of its names.
struct Group {
  std::vector<Node*> members;
  std::string kept;  ///< path of the lower inode that it is and stays; empty: it becomes a new one
  bool content = false;     ///< kept: it gets content
  bool metadata = false;    ///< kept: it gets attributes
  bool overridden = false;  ///< the view shows other attributes than upper/ has
  bool linkable = false;    ///< the inode of upper/ may become the lower's
  uint32_t mode = 0;        ///< that upper/ has
  size_t first = SIZE_MAX;  ///< the item that makes it
};

/// The files of a layer by inode, and which of them are lower inodes that have to stay: those with
/// names that the layer doesn't know of, those that belong to somebody else, and those that only
/// get attributes.
class Groups {
 public:
  Groups(LayerView* view, const Selection& selection, Tree* lower, Tree* upper)
      : view_(*view), selection_(selection), lower_(*lower), upper_(*upper) {}
  /// Empty, or why not.
  std::string collect(const std::vector<NodeChange>& changes);
  /// Null: not a file in upper/, or not a selected one.
  Group* of(const Node* node);
  /// What the view shows of a selected node in upper/.
  const Attr& shown(const Node* node) const { return shown_.at(node); }
  const std::map<uint64_t, Group>& all() const { return groups_; }

 private:
  std::string add(Node* node);
  void compare(Group* group, const std::string& home, const Attr& now);
  void settle(Group* group, const std::map<std::string, const Change*>& changes);
  std::string home_of(const Node& node);

  LayerView& view_;
  const Selection& selection_;
  Tree& lower_;
  Tree& upper_;
  std::map<uint64_t, Group> groups_;
  std::unordered_map<const Node*, Attr> shown_;
  std::unordered_map<uint64_t, std::string> unselected_;
};

}  // namespace viewsh::viewfs
