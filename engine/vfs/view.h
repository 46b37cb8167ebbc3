#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh {

/// A file system at a place of a view. What /proc/mounts tells of it stands here too.
struct Mount {
  std::string at;  ///< absolute canonical view path
  std::shared_ptr<FileSystem> fs;
  std::string type;
  std::string source;
  std::string options;              ///< comma separated, as shown
  std::vector<std::string> layers;  ///< the lowest first; the last takes the changes
  int id = 0;
  int parent_id = 0;
  bool internal = false;  ///< a scaffold: directories that lead to a mount point that isn't there
  /// Made while the view ran: it may be moved, and taken away again. Those that the view began with
  /// are locked together, as in a less privileged mount namespace: mount_namespaces(7).
  bool late = false;
  /// The view began with it, and still it isn't locked: what others of these are on it stays there.
  bool by_user = false;
  unsigned long flags = 0;              ///< MS_* of mount(2): of this mount alone
  bool super_read_only = false;         ///< of the file system, wherever else it is mounted
  std::shared_ptr<FileSystem> content;  ///< what `fs` shows for reading only; null: `fs` itself
  int part_of = 0;    ///< a bind: id of the late mount whose file system it shows a part of
  int source_in = 0;  ///< an image: id of the late mount in which its file lies
  const std::shared_ptr<FileSystem>& own_fs() const { return content ? content : fs; }
  /// Constant::is_constant() of the file system, if it is one of these.
  bool is_constant() const;
};

/// A name that a directory of the view has (or has not) because of a mount right below it.
struct MountName {
  std::string name;
  bool hidden = false;  ///< true: a name of the directory that must not be listed
  NodeType type = NodeType::kDirectory;
};

/// One place of a view: a mount and a path in it.
struct Location {
  std::shared_ptr<const Mount> mount;
  std::string path;  ///< of the mount's file system, canonical, "" its root
};

/// A mount table: immutable, shared. A mount makes a new View; the old one lives on in the file
/// systems that were stacked on it. The root has always a mount.
class View {
 public:
  /// A component of the tree of mount points.
  struct Node {
    std::shared_ptr<const Mount> mount;  ///< null: only leads to mounts below
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
    std::vector<MountName> names;  ///< what a listing of this directory has to be corrected by
  };

  /// A mount and what it makes of the directory that it is in.
  struct Entry {
    std::shared_ptr<const Mount> mount;
    std::optional<MountName> name;
  };

  explicit View(std::shared_ptr<const Mount> root);
  /// The view that with() makes of these, one after the other; the first is the root.
  static std::shared_ptr<View> of(const std::vector<Entry>& entries);
  /// The view with one more mount, which covers what is at and below its place.
  std::shared_ptr<View> with(std::shared_ptr<const Mount> mount,
                             std::optional<MountName> name) const;

  const Node* root() const { return &root_; }
  /// The deepest node on the way to a canonical path that has one, and that of the exact path or
  /// null.
  const Node* node_at(std::string_view path) const;
  /// Mount and path in it of a canonical view path, without looking at any file system.
  Location locate(std::string_view path) const;
  bool has_mount_at_or_below(std::string_view path) const;
  bool is_mount_point(std::string_view path) const;
  /// The view path that shows a host object now.
  std::optional<std::string> reverse(const std::string& host) const;
  /// FileSystem::own_path() says so of the place where the object was. `aliases`: host paths don't
  /// tell where that is, so that those of transparent file systems don't count.
  bool owns(const std::string& host, const struct stat& object, bool aliases) const;
  /// The view path that FileSystem::own_path() tells of.
  std::optional<std::string> place_of(const std::string& host, const struct stat& object) const;
  /// FileSystem::shown_at() of the mount that shows it.
  std::optional<std::string> shown_at(const Attr& object) const;
  bool fix_attr(Attr* attr) const;
  bool fixes_attr() const;
  /// Tree::mark_attr() of every mount.
  bool mark_attr(AttrMarks* marks) const;
  /// Tree::mark_names() of the root's file system, and the names of all mount points.
  bool mark_names(NameMarks* names) const;
  /// Tree::shows_host() of what is in the root's mount.
  bool shows_host(const std::string& path) const;
  /// Oldest first, covered ones left out.
  const std::vector<std::shared_ptr<const Mount>>& mounts() const { return order_; }
  /// The same with those that others cover, which are there again when those go.
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  static void copy(const Node& from, Node* to);
  void add(const Entry& entry);
  Node root_;
  std::vector<Entry> entries_;
  std::vector<std::shared_ptr<const Mount>> order_;
};

}  // namespace viewsh
