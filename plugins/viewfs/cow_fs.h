#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "copy_up.h"
#include "cow_host.h"
#include "cow_index.h"
#include "layer.h"
#include "layer_shared.h"
#include "viewsh/filesystem.h"
#include "viewsh/long_path.h"

namespace viewsh::viewfs {

/// The copy-on-write file system: a layer over a lower tree that is only ever read. What the layer
/// knows is answered from the index; everything else is handed to the lower in one call.
///
/// `minimal` (mincow): what the layer doesn't have yet is changed in the lower where that may be
/// changed; only what is refused there (EACCES, EPERM, EROFS) is done in the layer, whoever may.
/// Over a layer that is open for looking only, what would be the layer's is EROFS.
class CowFs final : public FileSystem, public std::enable_shared_from_this<CowFs> {
 public:
  CowFs(std::shared_ptr<FileSystem> lower, std::unique_ptr<Layer> layer, bool minimal = false);
  ~CowFs() override;
  /// Reads the layer. Empty, or why it can't be used.
  std::string start();

  std::string_view type() const override { return minimal_ ? "mincow" : "cow"; }
  bool read_only() const override { return frozen() && !minimal_; }
  bool copies_refused() const override { return minimal_; }
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override;
  Result<Attr> getattr(const std::string& path) override;
  Result<std::vector<DirEntry>> list(const std::string& path) override;
  std::optional<std::string> reverse(const std::string& host) override;
  /// Where the lower keeps flags, attributes and ACLs itself it is asked of what isn't in the
  /// layer; what is there has them on the host.
  bool own_meta() const override { return own_meta_; }
  Result<FileFlags> getflags(const std::string& path) override;
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override;
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override;
  Result<void> permits(const std::string& path, int want, const Caller& caller) override;
  std::optional<std::string> own_path(const std::string& host, const struct stat& object) override;
  std::optional<std::string> shown_at(const Attr& object) override;
  bool fix_attr(Attr* attr) override;
  bool mark_attr(AttrMarks* marks) override;
  bool mark_names(NameMarks* names) override;
  bool shows_host(const std::string& path) override;
  bool waits(std::string_view path, bool below) const override;
  bool waits_for(const Attr& object) const override;
  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string& path, const OpenPlan& plan, bool success) override;
  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override;
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override;
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override;
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override;
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override;
  Result<void> unlink(const std::string& path, const Caller& caller) override;
  Result<void> rmdir(const std::string& path, const Caller& caller) override;
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override;
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override;
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override;
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override;
  Result<std::string> watch(const std::string& path, const Caller& caller) override;
  Result<void> sync_names(const std::string& host) override;
  Result<void> sync_all() override;
  bool keeps() const override { return layer_->durable() && layer_->writable(); }
  Result<void> shutdown() override;

  /// For tests: the lower's paths and the layer's directory.
  const Layer& layer() const { return *layer_; }

 private:
  /// Where a path leads.
  struct Place {
    enum class What : uint8_t { kAbsent, kUpper, kRef, kLower };
    What what = What::kAbsent;
    NodeType type = NodeType::kUnknown;
    std::string path;
    Node* node = nullptr;    ///< its node; for kAbsent one that hides, or null
    bool has_lower = false;  ///< `lower` means something
    std::string lower;       ///< lower path of the node, of the position where it is absent
    bool position_has_lower = false;
    std::string position_lower;      ///< lower path of the position, whatever was moved here
    std::optional<Attr> attr;        ///< kLower: what the lower says
    const Linked* copied = nullptr;  ///< a lower name whose content is in links/, if frozen()

    bool exists() const { return what != What::kAbsent; }
    bool is_dir() const { return type == NodeType::kDirectory; }
  };

  bool is_as_below(const Node& node, const std::string& path);
  bool frozen() const { return !layer_->writable(); }

  // cow_real.cc
  /// The lower's own node (or free name) under this very path, of which the layer knows nothing.
  static bool is_real(const Place& place);
  /// A directory of which the layer has no more than what was done below it.
  static bool is_real_dir(const Place& place);
  /// In the layer, but made there: its permissions are those that hold.
  static bool made_here(const Place& place);
  using InLower = std::function<Result<void>(FileSystem& lower)>;
  /// minimal: the change of these names is made in the lower, if it is the lower's and the kernel
  /// lets it be made. Nothing: it is the layer's to make.
  std::optional<Result<void>> in_lower(std::initializer_list<const std::string*> paths,
                                       const Caller& caller, const InLower& change);
  /// The same for attributes. `on_container`: what is done with a directory that is also in upper/.
  std::optional<Result<void>> attr_in_lower(const Place& place, const Caller& caller,
                                            const InLower& change,
                                            const std::function<void()>& on_container);
  /// The file is opened or made there by the task itself; nothing: the layer has to do it.
  Result<std::optional<OpenPlan>> open_in_lower(const Place& place, const OpenHow& how,
                                                const Caller& caller);
  bool opened_in_lower(const std::string& path, const OpenPlan& plan, bool success);
  /// Something changed in a lower directory.
  void follow_lower(std::string_view dir);
  /// The attributes of a lower directory changed, of which upper/ has a container.
  Result<void> follow_container(const Place& place);
  Result<void> record_owner(const Place& place, const SetAttr& set);
  Result<bool> watches_lower(const Place& place);

  // cow_resolve.cc
  Result<Place> find_place(std::string_view path);
  /// find_place(), and a look whether the lower has the node.
  Result<Place> look(std::string_view path);
  Result<Place> look_existing(std::string_view path);
  Result<Found> resolve_lower(const std::string& lower, size_t used, std::string_view rest,
                              ResolveFlags flags, const Caller& caller, const std::string& path);
  Result<Found> resolve_below(const std::string& lower, size_t used, std::string_view rest,
                              ResolveFlags flags, const Caller& caller, const std::string& path);
  Result<Found> found_node(Node* node, const std::string& path, const std::string& lower);
  void drop_stale_anchors();
  Result<void> load(Node* dir, std::string_view path);
  Result<std::string> lower_host(Node* node, const std::string& lower);
  Result<Found> found_in_lower(const std::string& lower);
  Result<std::string> host_of_lower(const std::string& lower);
  /// The same, with its content there, for an open with `flags` that may be made. EIO, ENOSPC.
  Result<std::string> content_of_lower(const std::string& lower, int flags);
  /// Host path of what has the extended attributes of a lower node.
  Result<std::string> meta_host_of_lower(const std::string& lower);

  // cow_meta.cc
  /// The path in the lower, if that is what answers for `path` itself.
  Result<std::optional<std::string>> asked_below(const std::string& path);
  /// Extended attributes of a node of the lower that its copy has to have.
  /// `content`: the host's object that has them where the lower doesn't keep them itself; else it
  /// is looked for.
  Result<Xattrs> xattrs_of_lower(const std::string& lower, const std::string& content = {});
  /// What the records of a node of upper/ and its ACL there say to `want`.
  struct LowerOwner {
    uid_t uid;
    gid_t gid;
  };
  bool recorded_allows(const Node* node, mode_t mode, const LowerOwner& owner, int want,
                       const Caller& caller);
  /// The access ACL of a node in upper/; empty: none.
  const std::string& acl_of(const Node* node);
  Result<std::string> link_target(Node* node, const std::string& path, const std::string& lower);
  std::string upper_host(std::string_view path) const;
  bool origin_is(const Node* node, const std::string& lower) const;
  /// Snapshots have names of the inode in upper/, too.
  bool snapshotted(Node* node, const std::string& path);
  /// A lower name of an inode that was copied up under another name becomes a name of the copy.
  Result<bool> materialise(const std::string& path, const Attr& lower_attr);
  /// frozen(): the copy of a lower inode of several names that a name of it shows.
  const Linked* copied_link(const Attr& lower_attr) const;
  std::string link_host_path(const Linked& linked) const;
  Result<Attr> attr_of_link(const Linked& linked);
  std::optional<std::string> view_of_lower(const std::string& lower);

  // cow_attr.cc
  Result<Attr> attr_of(const Place& place);
  /// What the lower itself says of the node at a place that is the lower's.
  Result<Attr> lower_attr_of(const Place& place);
  void number(const std::string& path, const std::vector<size_t>& which,
              std::vector<DirEntry>* entries);
  void show(Node* node, Attr* attr);
  /// Takes the snapshots' names off the link count of what is in upper/.
  void hide_snapshots(Attr* attr);
  void show_merged(Node* node, Attr* attr);
  const Attr* lower_attr(Node* node);
  /// A merged directory whose lower was removed or replaced underneath is what upper/ has of it.
  void check_lower(Node* node);
  void lower_went(Node* node);
  /// What the lower lists of a merged directory.
  Result<std::vector<DirEntry>> list_lower(Node* node, const std::string& lower);
  void adopt(Node* node, uint64_t upper_ino, const FileTime& ctime);
  void register_node(Node* node);
  void unregister_node(Node* node);
  void forget_dead(std::string_view path);
  /// The lower's object behind a name that is about to go, if that is its last one.
  std::optional<Attr> last_name_of(const Place& place);
  /// It went: who has it open sees no names. unlink(2)
  void note_gone(const std::optional<Attr>& object);
  /// What a dead upper inode was shown as, if this is still that one: a number is used again, by a
  /// file of the lower's, say, where that is of the same file system.
  std::optional<InodeKey> dead_of(const Attr& attr) const;
  bool show_gone(const InodeKey& key, Attr* attr) const;
  void apply(const Transaction& transaction);
  void fix_links(Attr* lower_attr) const;
  /// To the names of the copy of a lower inode come those that are the lower's still.
  void add_links(const InodeKey& key, Attr* upper_attr) const;
  Result<void> change_attr_ref(const Place& place, const SetAttr& set);
  Result<void> change_attr_upper(Place place, const SetAttr& set);
  Result<void> set_file_mode(const Place& place, mode_t mode, bool lent);
  Result<void> set_dir_mode(const Place& place, mode_t mode);
  Result<void> record_dir(const Place& place, bool mode);
  Result<void> may_set_xattr(const Place& place, const std::string& name, const Caller& caller);
  Result<void> may_set(const Place& place, const Attr& attr, const SetAttr& set,
                       const Caller& caller);

  // cow_permission.cc
  Result<void> may_search(Node* dir, const Caller& caller);
  /// Names may be made and removed in a directory. EACCES, EROFS.
  Result<void> may_change(std::string_view dir_path, const Caller& caller);
  Result<void> may_remove(const Place& victim, const Caller& caller);
  Result<void> may_access(const Place& place, int mode, const Caller& caller);
  /// What of the host has the permissions of a lower node, which may be a layer's with others.
  Result<std::optional<std::string>> deciding_host(const std::string& lower);
  Result<void> may_hardlink(const Place& from, const Caller& caller);

  // cow_copy_up.cc
  /// The directory, with all above it, is in upper/ afterwards.
  Result<Node*> ensure_upper_dir(std::string_view path);
  /// ensure_upper_dir(), true: it was not there, so that what was looked up may be out of date.
  Result<bool> made_upper_dir(std::string_view path);
  /// A regular file or symbolic link gets into upper/; a directory as a container.
  Result<void> copy_up(Place* place, bool with_data);
  Result<void> copy_up_dir(const std::string& path, const std::string& lower);
  Result<void> install_copy(const Place& place, const std::string& temp, const Attr& from);
  Result<std::string> make_container(const Attr& from, const std::string& lower, Meta* meta);
  /// Records for a lower or kRef name of a hard-linked inode that stops being one.
  void cover(const Attr& lower_attr, bool copied, Transaction* transaction, int names = 1);
  void drop_anchor(const Transaction& transaction);

  // cow_change.cc
  Result<void> may_create(const std::string& path, const Caller& caller);
  /// A new name appeared in upper/.
  Node* made(Node* dir, std::string_view name, NodeType type);
  Result<std::string> make_dir_like_in(std::string_view dir, mode_t mode, mode_t mask, Attr* attr);
  Result<void> make_locked_dir(const std::string& path, mode_t mode, mode_t mask);
  Result<void> link_ref(const Place& from, const std::string& to);
  /// A directory that is the layer's alone and about to go. Who has it open goes on with the
  /// host's object alone: that gets the mode that was shown.
  struct LockedDir {
    UniqueFd dir;
    mode_t mode = 0;
    void show_mode() const;
  };
  LockedDir locked_dir(const Place& place) const;
  Result<bool> view_empty(const Place& place);
  Result<void> remove_file(const Place& place);
  Result<void> remove_dir(const Place& place);
  /// The intent, the change of upper/, the index: all or nothing.
  Result<void> change(const Transaction& transaction, const std::function<int()>& step);
  void touch(std::string_view dir);
  void announce_removal(const std::string& path);
  /// A native call that needs no record of its own.
  Result<void> plain_change(int result);
  /// kHide for the position if the lower has the name there.
  Result<void> hide_position(const Place& place, Transaction* transaction);

  // cow_rename.cc
  struct Move;
  Result<bool> same_node(const Place& from, const Place& to);
  /// The file system of the host that a directory of the view belongs to: a new one to that of the
  /// lower directory that it was made in.
  Result<uint64_t> device_of_dir(std::string_view path);
  /// rename(2), link(2) between file systems: EXDEV.
  Result<void> same_device(const std::string& from, const std::string& to);
  Result<Meta> ref_meta(const Place& place);
  std::optional<Meta> moved_meta(const Place& from, const Place& to) const;
  Result<void> replace_target(const Place& to, Transaction* transaction);
  Result<void> check_rename(Move* move, const Caller& caller);
  Result<void> rename_upper(const Move& move);
  Result<void> rename_lower_dir(const Move& move);
  Result<void> rename_ref(const Move& move);
  Result<void> exchange(Move* move);
  Result<void> hold(Place* place);

  // cow_sync.cc
  Result<void> sync_dirs(std::string_view path);
  /// A file that is opened to be written through has to be found after a power cut, too. open(2)
  Result<void> sync_opened(const std::string& path, int flags);

  // cow_open.cc
  Result<OpenPlan> plan_create(const std::string& path, const OpenHow& how, const Caller& caller);
  Result<OpenPlan> plan_existing(Place place, const OpenHow& how, const Caller& caller);

  void mark(uint64_t ino) const {
    if (marks_ != nullptr && ino != 0) marks_->mark(ino);
  }
  struct Pending {
    std::string path;
    Node* dir;
    std::string name;
    NodeType type;
  };

  std::shared_ptr<FileSystem> lower_;
  std::unique_ptr<Layer> layer_;
  SnapshotLinks snapshots_;
  Index index_;
  uint64_t upper_dev_ = 0;
  bool closed_ = false;
  std::unordered_multimap<uint64_t, Node*> by_upper_ino_;
  struct Dead {
    InodeKey key;   ///< what it was shown as
    FileTime died;  ///< by the clock of files
    Meta meta;      ///< of its last name, with the lower path that it stood for
  };
  std::unordered_map<uint64_t, Dead> dead_;  ///< unlinked upper inodes that may still be open
  std::unordered_map<InodeKey, Node*, InodeHash> by_lower_dir_;
  /// Lower files that were copied up, or are shown otherwise: all names.
  std::unordered_multimap<InodeKey, Node*, InodeHash> by_lower_file_;
  struct Gone {
    uint16_t mode;
    uint32_t uid;
    uint32_t gid;
  };
  std::unordered_map<InodeKey, Gone, InodeHash>
      gone_;                                          ///< lower objects without a name in the view
  std::unordered_map<std::string, Node*> redirects_;  ///< by lower path
  std::vector<Pending> pending_;
  NameMarks* names_ = nullptr;  ///< who wants to know which names are not the lower's
  AttrMarks* marks_ = nullptr;  ///< who wants to know whose attributes are not the kernel's
  std::unordered_set<std::string> synced_;  ///< directories of upper/ whose names are on disk
  uint64_t synced_at_ = 0;                  ///< as long as the layer is of this generation
  bool all_synced_ = false;                 ///< so is everything
  bool minimal_ = false;
  const bool own_meta_;
  std::unordered_map<uint64_t, std::string> acls_;  ///< of inodes in upper/, as far as known
  struct PendingBelow {
    std::string path;
    OpenPlan plan;
    bool notify = false;  ///< the lower wants to hear of it
  };
  std::vector<PendingBelow> pending_below_;
};

}  // namespace viewsh::viewfs
