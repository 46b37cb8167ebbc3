#pragma once

#include <sys/stat.h>

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "image.h"
#include "image_lock.h"
#include "node_places.h"
#include "viewsh/plugin.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// Real kernel objects that stand for the nodes of an image: what a task opens, executes, works in
/// or watches. They are made when they are needed, in scratch directories of the view: ROOT/ID, of
/// a device an empty file; ROOT/ID/NAME for what can be executed, so that a program is called what
/// it is called. Their permissions are what the engine's own user may do with the node.
///
/// Small files are kept in memory, big ones on disk. Contents that nobody has open go, the least
/// recently used first, when they are too many bytes.
class ImageStage {
 public:
  struct Limits {
    uint64_t small = uint64_t{1} << 20;       ///< bytes of a file that is kept in memory
    uint64_t in_memory = uint64_t{64} << 20;  ///< of all of them
    uint64_t on_disk = uint64_t{2} << 30;
    int64_t grace_ns = 2'000'000'000;  ///< what was planned so recently is about to be opened
    /// Contents and objects will be changed: they are kept on disk, and their permissions let the
    /// engine's user do everything; whose they are has to be asked before.
    bool writable = false;
    bool as_root = false;  ///< permissions count for nobody
  };
  /// What is left of a node whose last name went while it was in use.
  struct Ghost {
    NodeId node = 0;
    Attr attr = {};
    NodeId root = 0;    ///< of the tree that it was removed from
    std::string path;   ///< where it was there
    std::string host;   ///< where its object was
    std::string seat;   ///< and in a directory that is watched
    bool bare = false;  ///< the object has no attributes of the node's
    bool held = false;  ///< ended() is to tell when nobody has it open any more
    UniqueFd fd;        ///< on its content, to see whether others have it, too
  };
  ImageStage(Image& image, Host& host, Limits limits)
      : image_(image), host_(host), limits_(limits) {}
  /// Calls of the image wait, and others are made meanwhile, of this object, too. Not owned.
  void share(NodeLocks* locks) { locks_ = locks; }

  /// The object of a node that has no content of its own to be unpacked.
  Result<std::string> object(NodeId node, const Attr& attr, const NodePlace& place);
  /// The same of a directory; the image isn't asked for its extended attributes.
  Result<std::string> bare_object(NodeId node, const Attr& attr);
  /// It is, now.
  void complete_object(NodeId node);
  /// Where content() of a regular file puts it; nothing is made.
  Result<std::string> content_path(NodeId node, const Attr& attr, std::string_view name);
  /// A regular file with its content. `pin`: it stays to the end, whoever has it open. EUCLEAN,
  /// EIO: of the image; ENOSPC.
  Result<std::string> content(NodeId node, const Attr& attr, const NodePlace& place, bool pin);
  /// What has the extended attributes of a regular file, whether its content is there or not.
  Result<std::string> xattr_object(NodeId node);

  // What follows is for nodes that change; image_stage_change.cc.

  /// An empty file as the content of a node that has none yet.
  Result<std::string> empty_content(NodeId node, const Attr& attr, const NodePlace& place);
  /// Where a task is to make the object of a new node itself, and that it is there now. bind(2).
  Result<std::string> object_to_make(NodeId node);
  Result<void> made(NodeId node);
  /// A task is about to open the content at a host path, and did so or failed. What is forgotten
  /// meanwhile stays there until then.
  void opens(const std::string& host) { ++opening_[host]; }
  void opened(const std::string& host);
  bool opening(NodeId node) const;
  bool has_content(NodeId node) const { return contents_.count(node) != 0; }
  /// Nothing is kept of the node any more. False: there is something that has to be.
  bool let_go(NodeId node);
  /// Its descriptors may be ones that in_use() doesn't see (O_PATH).
  bool pinned(NodeId node) const;
  /// What was written to a content isn't in the image: it stays.
  void set_unsaved(NodeId node, bool unsaved);
  /// The content may be another now: it goes, or becomes so where somebody has it, if that is
  /// `wanted` still when it was read.
  Result<void> renew(NodeId node, const std::function<bool()>& wanted);
  /// ENOENT: there is no content. open(2).
  Result<UniqueFd> open_content(NodeId node, int flags) const;
  /// False: there is no content. fstat(2)
  bool stat_content(NodeId node, struct stat* st) const;
  /// Does anybody have the content open (for writing), or is about to?
  bool in_use(NodeId node) const;
  bool has_writers(NodeId node) const;
  /// The node's name or permissions are others now, or those of a new one are to count from now on.
  /// `told`: who watches is to hear of the permissions, by this name.
  Result<void> renamed(NodeId node, const Attr& attr, std::string_view name,
                       const NodePlace* told = nullptr);
  /// An extended attribute was set, or removed (null). True: who watches was told.
  bool xattr_changed(NodeId node, const NodePlace& place, const std::string& name,
                     const std::string* value);
  /// The node is no more. `last`: what its open descriptors show from now on; may be null.
  void forget(NodeId node, Ghost* last);
  /// The nodes of files without a name that nobody has open any more. Each is told once.
  std::vector<NodeId> ended();
  bool has_ghosts() const { return !ghosts_.empty(); }
  /// What is left of a node that is no more, if `native`, or what was at a host path, stood for it.
  const Ghost* ghost_of(const Attr& native) const;
  const Ghost* ghost_at(const std::string& host) const;

  // Directories that are watched; image_stage_watch.cc. The object of such a directory has the
  // names that the image has there: files are further links to their contents, or empty ones that
  // become them, directories are their objects. What is done to names and attributes is done to
  // these, too, and tasks open them by these links, so the kernel tells of it. What the engine does
  // goes by the objects' own names, of which nobody is told.

  /// A name in a directory and what it leads to.
  struct Name {
    NodePlace place;
    NodeId node = 0;  ///< 0: not known, nothing stands for it yet
    bool directory = false;
    bool linked = false;  ///< a file that has other names
  };
  /// The directory, which has an object, is watched from now on; `names` is all that it holds.
  /// ENOSPC.
  Result<void> watch(NodeId directory, const std::vector<Name>& names);
  bool watched(NodeId directory) const { return watched_.count(directory) != 0; }
  /// The object of the node itself is watched from now on.
  void hear(NodeId node) { heard_.insert(node); }
  /// What was done to a name. `twin`: a name that the node has already.
  void added(const Name& name, const NodePlace& twin = {});
  void removed(const Name& name);
  void moved(const Name& name, const NodePlace& to, const Name* exchanged);
  /// Attributes were set; changes of permissions of a content are told by renamed().
  void changed(NodeId node, const NodePlace& place, const SetAttr& set);
  /// Cuts a content by its name in a directory that is watched. False: it has none.
  bool truncate(NodeId node, const NodePlace& place, uint64_t size);
  /// The name's path on the host; empty: nobody watches its directory.
  std::string seat(const NodePlace& place) const;
  /// A task that opens the content is led to its name in a directory that is watched, by a
  /// descriptor, as names come and go. led(): what the plan was before, end_lead(): it is over.
  void lead(NodeId node, const NodePlace& place, OpenPlan* plan);
  const std::string& led(const std::string& host) const;
  std::string end_lead(const std::string& host);
  /// All nodes that have objects.
  std::vector<NodeId> staged() const;

  /// The node that an object stands for.
  std::optional<NodeId> node_at(const std::string& host) const;
  std::optional<NodeId> node_of(const Attr& native) const;
  void mark_attr(AttrMarks* marks);
  /// Hears of contents that go.
  void on_removal(std::function<void(uint64_t dev, uint64_t ino)> removed) {
    removed_ = std::move(removed);
  }

  uint64_t bytes_in_memory() const { return roots_[0].bytes; }

 private:
  struct Root {
    std::string path;
    UniqueFd fd;
    uint64_t bytes = 0;   ///< of contents
    bool broken = false;  ///< nothing can be made there
  };
  enum Where : uint8_t { kMemory = 0, kDisk = 1 };
  struct Content {
    NodeId node = 0;
    Where where = kMemory;
    std::string base;  ///< the file, or of a program the directory that it is in
    std::string name;  ///< of a program; of others empty
    uint64_t bytes = 0;
    uint64_t dev = 0;
    uint64_t ino = 0;
    int64_t used = 0;  ///< monotonic nanoseconds
    bool pinned = false;
    bool unsaved = false;
  };
  using Recent = std::list<Content>;  ///< the least recently used first
  struct InodeKey {
    uint64_t dev;
    uint64_t ino;
    bool operator<(const InodeKey& other) const {
      return dev != other.dev ? dev < other.dev : ino < other.ino;
    }
  };

  Result<Root*> root(Where where);
  Result<Where> place_of(NodeId node, const Attr& attr);
  mode_t rights_of(NodeId node, const Attr& attr) const;
  bool has_xattrs(NodeId node);
  void set_xattrs(NodeId node, int fd);
  Result<std::string> make_object(NodeId node, const Attr& attr, Where where);
  Result<void> make_empty(NodeId node, const Attr& attr, const NodePlace& place);
  Result<Recent::iterator> take_in(NodeId node, const Attr& attr, const NodePlace& place);
  Result<void> note(NodeId node, int dir, const char* name);
  Result<Content> unpack(NodeId node, const Attr& attr, const NodePlace& place, Where where,
                         bool empty);
  Result<void> fill(NodeId node, const Attr& attr, UniqueFd fd, Content* content, bool empty);
  void make_room(Where where, uint64_t bytes);
  bool drop(Recent::iterator content);
  void erase(Recent::iterator content);
  void forget_content(Recent::iterator content, Ghost* last);
  void forget_object(const std::string& path, Ghost* last);
  void keep_ghost(InodeKey key, const std::string& host, Ghost* last);
  void drop_ghost(InodeKey key);
  const Content* content_of(NodeId node) const;
  static std::string relative(const Content& content);
  std::string host_path(const Content& content) const;
  std::string base_of(NodeId node) const;
  static bool lease_granted(int fd, int type);
  bool lease_granted(NodeId node, int type) const;
  static bool is_open(int dir, const char* name, mode_t mode);

  bool is_content(NodeId node, const std::string& path) const;
  bool is_seated(NodeId node, const std::string& seat) const;
  static bool move_content(const std::string& from, const std::string& to);
  bool bring_content(NodeId node, const std::string& to);
  bool make_seat(const Name& name, const std::string& path);
  bool make_anchor(NodeId node, const std::string& path);
  std::string seat_of(const Name& name);
  void leave_seat(NodeId node, const std::string& seat);
  void relocate(const std::string& from, const std::string& to);
  void swap(const Name& name, const Name& other);
  std::string aside(NodeId node) const;
  void move_in(const Name& name, const std::string& to);
  void move_out(const Name& name);
  void move_self(NodeId node);
  void count_changed(NodeId node);
  std::string own_path(NodeId node) const;
  UniqueFd adopt(NodeId node, const NodePlace& place, int dir, const char* name);
  static void empty_links(int dir, const char* name);
  void unwatch(NodeId node);

  Image& image_;
  Host& host_;
  Limits limits_;
  Root roots_[2];
  std::unordered_map<NodeId, std::string> objects_;  ///< host paths of those without content
  std::unordered_set<NodeId> bare_;                  ///< of these, bare_object()s
  Recent recent_;
  std::unordered_map<NodeId, Recent::iterator> contents_;
  std::map<InodeKey, NodeId> by_inode_;
  std::unordered_map<NodeId, bool> xattrs_;  ///< which nodes have some that can be shown
  std::map<InodeKey, Ghost> ghosts_;         ///< of what is gone, but may be open
  std::unordered_map<std::string, InodeKey> ghost_paths_;
  std::deque<InodeKey> unheld_;  ///< ghosts that may be nobody's: the last few thousand
  std::unordered_map<std::string, int> opening_;      ///< by host path
  std::unordered_map<std::string, Where> leaving_;    ///< host paths that go when they are opened
  std::unordered_map<NodeId, uint32_t> generations_;  ///< of numbers whose content left before
  struct Lead {
    std::string host;
    UniqueFd fd;
  };
  std::unordered_set<NodeId> watched_;               ///< directories whose objects have names
  std::unordered_set<NodeId> heard_;                 ///< those whose objects are watched
  std::unordered_map<NodeId, std::string> anchors_;  ///< files of several names without content
  std::unordered_map<std::string, Lead> leads_;      ///< by the path that the task was given
  std::string plain_;  ///< stands for every file without extended attributes
  AttrMarks* marks_ = nullptr;
  std::function<void(uint64_t, uint64_t)> removed_;
  NodeLocks* locks_ = nullptr;
};

/// What a node's permissions, and its ACL where it has one, say to `want` (R_OK, W_OK, X_OK).
/// path_resolution(7), acl(5)
bool image_allows(Image& image, NodeId node, const Attr& attr, int want, const Caller& caller);
/// What the engine's own user may do with a node, of R_OK, W_OK and X_OK, as the bits of an owner.
mode_t own_rights(Image& image, NodeId node, const Attr& attr, int of, const Credentials* as);

}  // namespace viewsh
