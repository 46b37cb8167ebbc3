#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "layer.h"
#include "layer_record.h"

namespace viewsh::viewfs {

/// A name of the view that the layer knows something of.
struct Node {
  enum class State : uint8_t {
    kNone,   ///< nothing of the layer's is here; only `hidden` or children say something
    kUpper,  ///< content, or a merged directory's container, in upper/
    kRef,    ///< a lower node that isn't a directory, under another name or with other attributes
  };
  using Children = std::unordered_map<std::string_view, std::unique_ptr<Node>>;

  Node* parent = nullptr;
  std::string name;
  State state = State::kNone;
  NodeType type = NodeType::kUnknown;
  bool lower_absent = false;   ///< of the position: the lower is known to have nothing by this name
  bool hidden = false;         ///< of the position: what the lower has by this name is not shown
  bool loaded = false;         ///< a directory: all names of upper/ are among the children
  bool special = false;        ///< a directory: had children whose d_ino is not the host's
  bool lower_virtual = false;  ///< a merged directory: the lower itself lists it
  bool lower_gone = false;     ///< a merged directory: the lower has no directory there any more
  bool links_known = false;    ///< a merged directory: `links` is up to date
  int32_t links = 0;           ///< subdirectories that the layer adds, less those it hides
  bool watched = false;        ///< a directory: somebody wants to hear of changes
  int8_t snapshotted = -1;     ///< snapshots have names of its inode in upper/; -1 unknown
  int8_t may_change = -1;  ///< a merged directory: the caller may write in its lower; -1 unknown
  std::unique_ptr<Meta> meta;
  std::unique_ptr<LowerState> hidden_state;
  std::unique_ptr<Attr> lower_attr;  ///< a merged directory's: what the lower says, cached
  std::string lower_host;            ///< a merged directory's: host path of the lower, cached
  std::string target;                ///< a symbolic link's text, cached
  std::unique_ptr<Children> children;

  bool present() const { return state != State::kNone; }
  bool is_dir() const { return state == State::kUpper && type == NodeType::kDirectory; }
  /// Shows what the lower has, too.
  bool merged() const {
    return is_dir() && meta && meta->kind == Meta::Kind::kMerged && !lower_gone;
  }
  Node* child(std::string_view child_name) const;
  /// A subdirectory of its parent came or went.
  void links_changed() const {
    if (parent != nullptr) parent->links_known = false;
  }
};

/// Identifies an inode of the host.
struct InodeKey {
  uint64_t dev = 0;
  uint64_t ino = 0;
  bool operator==(const InodeKey&) const = default;
};
struct InodeHash {
  size_t operator()(const InodeKey& k) const {
    return static_cast<size_t>((k.ino ^ (k.dev << 40)) * 0x9E3779B97F4A7C15u);
  }
};

/// A lower inode of several names, some of which the layer has covered.
struct Linked {
  LowerState state;
  int32_t covered = 0;
  bool anchor = false;
};

/// The trie of what a layer says about the names of a view: the log's records, and of directories
/// that were looked into the names in upper/. The records are applied in the same way live and when
/// a log is read.
class Index {
 public:
  Index();
  Node* root() const { return root_.get(); }

  /// The node at a path, or null.
  Node* find(std::string_view path) const;
  /// As find(), made where there is none (with state kNone).
  Node* make(std::string_view path);
  Node* make_child(Node* dir, std::string_view name);
  static std::string path_of(const Node* node);
  /// The lower path that a node stands for: that of a renamed directory above it and the rest.
  static std::string lower_path_of(const Node* node);

  void apply(const Transaction& transaction);
  void apply(const Record& record);
  /// The records that make up the present state.
  Transaction snapshot() const;

  /// Reads the names in upper/ of a directory that is in upper/, unless it was done.
  Result<void> load(Node* dir, const std::string& path, int upper_fd) const;
  /// After a layer was opened: drops what the log says about nodes that upper/ doesn't have (a
  /// change that was cut short), and learns inode numbers. True: something was dropped.
  bool verify(int upper_fd);

  /// The node leaves the view; its position keeps `hidden`.
  void remove(Node* node);
  /// The node and all below goes to another position, replacing what is there.
  Node* move(Node* from, std::string_view to);
  void swap(Node* a, Node* b);

  /// Calls back for every node, parents first.
  void each(const std::function<void(Node*)>& visit) const;

  std::unordered_map<InodeKey, Linked, InodeHash>& linked() { return linked_; }
  const std::unordered_map<InodeKey, Linked, InodeHash>& linked() const { return linked_; }
  /// Called with each node that is about to vanish.
  std::function<void(Node*)> on_remove;
  /// Called with each node at its place, when it is new there.
  std::function<void(const Node*)> on_place;
  /// Called where a directory of the lower's became another one, or went.
  std::function<void()> on_directory;

 private:
  void set_node(const Record& r);
  void drop(Node* node);
  /// Erases nodes that say nothing, upwards.
  void prune(Node* node);
  void forget_below(Node* node);
  Node* put(Node* dir, std::unique_ptr<Node> node, std::string name) const;
  void place_all(const Node* node) const;
  void directory_changed() const {
    if (on_directory) on_directory();
  }

  std::unique_ptr<Node> root_;
  std::unordered_map<InodeKey, Linked, InodeHash> linked_;
};

/// "a/b" and "c" -> "a/b/c"; "" and "c" -> "c".
std::string join(std::string_view dir, std::string_view name);
std::string_view parent_of(std::string_view path);
std::string_view name_of(std::string_view path);
/// Takes the first component off `rest`.
std::string_view next_component(std::string_view* rest);

}  // namespace viewsh::viewfs
