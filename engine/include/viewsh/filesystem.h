#pragma once

#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/identity.h"
#include "viewsh/result.h"

namespace viewsh {

/// Who makes a call: the file-system credentials and the umask of the task, as the kernel has them.
/// credentials(7), umask(2).
struct Caller {
  uid_t uid = 0;
  gid_t gid = 0;
  std::span<const gid_t> groups = {};
  mode_t umask = 022;
  /// Who it is in the view, where that is somebody else. Null: the same.
  const Credentials* as = nullptr;

  /// Permissions that a file system keeps itself don't hold for root, the view's included.
  bool root() const { return uid == 0 || root_in_view(); }
  /// It is root in the view alone: the kernel refuses it what it refuses everybody.
  bool root_in_view() const { return as != nullptr && as->fsuid == 0; }
  /// The caller with the ids of the view: for a file system that keeps owners itself (kOwnOwners).
  Caller in_view() const {
    return as == nullptr ? *this : Caller{as->fsuid, as->fsgid, as->groups, umask, nullptr};
  }
  /// The same call made by root.
  Caller as_root() const { return {0, gid, groups, umask, nullptr}; }
};

/// The type of a node; the values are those of struct dirent's d_type. readdir(3).
enum class NodeType : uint8_t {
  kUnknown = 0,
  kFifo = 1,
  kChar = 2,
  kDirectory = 4,
  kBlock = 6,
  kRegular = 8,
  kSymlink = 10,
  kSocket = 12,
};
constexpr NodeType type_of_mode(mode_t mode) {
  return static_cast<NodeType>((mode & S_IFMT) >> 12);
}

/// Attributes as statx(2) gives them; the one attribute record of the interface.
using Attr = struct statx;

/// In stx_mask of an Attr: its owner and group are kept by the file system itself, as in an image,
/// and are ids of the view. Without it they are the kernel's.
inline constexpr uint32_t kOwnOwners = STATX__RESERVED;

/// What resolve() found. Paths are those of the file system: no leading slash, "" for the root.
struct Found {
  enum class Kind : uint8_t {
    kNode,  ///< the whole run leads to a node (with `exists` false: not looked at, may be absent)
    kLink,  ///< a symbolic link was met that has to be followed; `target` is its text
    kMissing,  ///< the last component is absent, its directory is there and may be searched
  };
  Kind kind = Kind::kNode;
  NodeType type = NodeType::kUnknown;  ///< kUnknown unless the file system knew it for nothing
  bool exists = false;                 ///< existence was verified
  bool attr_virtual = false;  ///< attributes must come from getattr(), the host's object has others
  bool list_virtual = false;  ///< a directory to be listed by list(), the host's object has others
  bool in_place = false;      ///< the host's object itself may be written, created, changed
  /// A regular file whose host object, with its content, is there only after a plan_open(), and has
  /// to be had from that by whoever wants to read, execute or watch it. meta_host is set.
  bool deferred = false;
  size_t consumed = 0;  ///< bytes of `rest` that were used, up to the end of a component
  std::string
      host;  ///< absolute host path of the content (for kMissing in_place: where it would be)
  std::string meta_host;  ///< host path whose xattrs are the node's, where they differ from host's
  std::string target;     ///< kLink
};

struct ResolveFlags {
  bool follow_last = true;   ///< a link as the last component is reported as kLink
  bool want_exists = false;  ///< `exists` and `type` must be right at the end
};

struct DirEntry {
  std::string name;
  uint64_t ino = 0;
  NodeType type = NodeType::kUnknown;
};

/// open(2)'s flags and mode as the task gave them, without what the walk dealt with.
struct OpenHow {
  int flags = 0;
  mode_t mode = 0;  ///< before the umask
  NodeType create_type =
      NodeType::kRegular;  ///< what the native call will make (bind(2): a socket)
  /// What is written through the descriptor will be announced by FileSystem::writing().
  bool announced = false;
  /// The task opens the plan's host at once, and that may be a link to one of the engine's own
  /// descriptors (/proc/ENGINE/fd/N), which the plan keeps until opened().
  bool by_link = false;
};

/// How the task itself opens (or makes) the node natively.
struct OpenPlan {
  std::string host;
  int flags = 0;
  mode_t mode = 0;
  bool notify = false;     ///< opened() wants to hear of the result
  std::string shown = {};  ///< what /proc calls it then, where that isn't `host`
};

/// A change of attributes; what is not set stays. chmod(2), chown(2), utimensat(2), truncate(2).
struct SetAttr {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<timespec> atime;  ///< tv_nsec may be UTIME_NOW
  std::optional<timespec> mtime;
  std::optional<uint64_t> size;
};

/// What chattr(1) changes: FS_*_FL as FS_IOC_GETFLAGS gives them, and the project id of
/// FS_IOC_FSGETXATTR. ioctl_iflags(2), ioctl_fsgetxattr(2).
struct FileFlags {
  uint32_t flags = 0;
  uint32_t project = 0;
};

/// A change of a file's content that a task is about to make by itself.
struct PlannedWrite {
  static constexpr uint64_t kToTheEnd = UINT64_MAX;
  pid_t task = 0;            ///< whose earlier ones are all made by now
  uint64_t offset = 0;       ///< in bytes
  uint64_t size = 0;         ///< kToTheEnd: whatever lies behind offset. 0: nothing
  bool at_position = false;  ///< offset is where the descriptor stands, which others may move
  bool maps = false;         ///< it is mapped shared: from now on anything may change at any time
};

/// Who wants to know of which inodes Tree::fix_attr() has something to say.
class AttrMarks {
 public:
  virtual ~AttrMarks() = default;
  /// `ino`: as the kernel gives it. May be said more than once, and of more than it has to be.
  virtual void mark(uint64_t ino) = 0;
};

/// Who wants to know which names a tree shows otherwise than the host does.
class NameMarks {
 public:
  virtual ~NameMarks() = default;
  /// From now on the tree decides about what is at `path`.
  virtual void mark_name(std::string_view path) = 0;
  /// Whatever Tree::shows_host() said of a directory may be wrong from now on.
  virtual void forget_directories() = 0;
};

/// A tree of nodes that can be looked at. All paths are canonical: components joined by '/', no
/// leading or trailing slash, never "." or ".." or an empty component; "" is the root.
/// Owner: shared_ptr of mounts and of trees stacked above. Called from the engine's loop only.
class Tree {
 public:
  virtual ~Tree() = default;

  /// Walks `rest` down from the directory `base`, which the caller has resolved before. Stops at
  /// the first symbolic link that has to be followed. Errors: ENOENT (a component before the last
  /// is absent), ENOTDIR, EACCES (search permission), ENAMETOOLONG, EIO. path_resolution(7).
  virtual Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                                const Caller& caller) = 0;

  /// lstat(2) of a node. stx_mask says what is filled; stx_dev_* and stx_ino identify the node for
  /// the life of the view, copy-up included.
  virtual Result<Attr> getattr(const std::string& path) = 0;

  /// All entries but "." and "..", each name once, in any order. readdir(3).
  virtual Result<std::vector<DirEntry>> list(const std::string& path) = 0;

  /// The path that shows the host object at this host path, if the tree has one and it is visible.
  /// Used for /proc/PID/fd, cwd, maps.
  virtual std::optional<std::string> reverse(const std::string& host) = 0;

  /// Given the native attributes of an open host object: replaces what the view shows otherwise
  /// (inode number of a copied-up file, link count of a merged directory). False: nothing to
  /// change.
  virtual bool fix_attr(Attr* attr) = 0;
  /// False: fix_attr() would change nothing now, whatever the object. Saves a look at it.
  virtual bool fixes_attr() const { return true; }
  /// Tells `marks` all inode numbers for which fix_attr() might change something, and from now on
  /// each new one before the call that makes it so is over. `marks` outlives the tree's use. False:
  /// it can't be told, and each object has to be asked for.
  virtual bool mark_attr(AttrMarks* marks) {
    (void)marks;
    return false;
  }

  /// Tells `names` all names of which the tree has more to say than the host, and from now on each
  /// new one before the call that makes it so is over. `names` outlives the tree's use. False: it
  /// can't tell.
  virtual bool mark_names(NameMarks* names) {
    (void)names;
    return false;
  }
  /// Is `path` a directory of the host's, at the very same path there and reached by no symbolic
  /// link, in which every name that isn't marked is the host's, with the same permissions on the
  /// way? Asked only after mark_names(). Holds until forget_directories().
  virtual bool shows_host(const std::string& path) {
    (void)path;
    return false;
  }

  /// May a call for the node at `path` stop in the middle (Suspension), so that others are made
  /// before it goes on? `below`: or one for a node below it. Doesn't wait itself.
  virtual bool waits(std::string_view path, bool below) const {
    (void)path, (void)below;
    return false;
  }
  /// May fix_attr() of an object with these native attributes?
  virtual bool waits_for(const Attr& object) const {
    (void)object;
    return false;
  }
};

/// A mounted file system: a Tree that can be changed. The engine calls the changing operations only
/// where transparent() is false; a transparent one is changed by the task's own call on
/// Found::host. Every operation is done or not done; on success it is visible at once. Errors are
/// those of the system call of the same name. Search permission on the way was checked by
/// resolve(); permission on the node and on its parent directory is checked by the operation itself
/// for `caller`.
class FileSystem : public Tree {
 public:
  /// As in /proc/mounts: "bind", "cow", "merge", "tmpfs"...
  virtual std::string_view type() const = 0;
  /// Rewriting the path is all that is needed: every node is a host object that the task may use.
  virtual bool transparent() const { return false; }
  virtual bool read_only() const { return false; }
  /// Is a host object that no path of the view leads to any more, open since it had a name here,
  /// the file system's own, so that changing it natively, content included, changes nothing that
  /// has to stay? Then the path that it had. `host`: what /proc calls it, `object`: its stat(2).
  virtual std::optional<std::string> own_path(const std::string& host, const struct stat& object) {
    (void)object;
    return transparent() && !read_only() ? reverse(host) : std::nullopt;
  }
  /// A path that shows a host object of which reverse() knows none: that of another link to it,
  /// say. Not each file system can tell. `object`: statx(2) of the host's.
  virtual std::optional<std::string> shown_at(const Attr& object) {
    (void)object;
    return std::nullopt;
  }
  /// What the kernel refuses to do to the host's object itself (EACCES, EPERM, EROFS) the file
  /// system may do otherwise: a call that ran natively on an object in place is then tried again by
  /// it.
  virtual bool copies_refused() const { return false; }

  /// Prepares an open (copy-up, parents in the upper) and says how the task does it. Errors as
  /// open(2): EEXIST, EROFS, ENOSPC, ETXTBSY... O_CREAT of an absent name: the native call creates,
  /// opened() hears of it; of an O_TMPFILE, too, its `host` is then the file's in /proc/PID/fd.
  virtual Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                                     const Caller& caller) = 0;
  virtual void opened(const std::string& path, const OpenPlan& plan, bool success) = 0;

  virtual Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) = 0;
  virtual Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                             const Caller& caller) = 0;
  virtual Result<void> symlink(const std::string& path, const std::string& target,
                               const Caller& caller) = 0;
  virtual Result<void> link(const std::string& from, const std::string& to,
                            const Caller& caller) = 0;
  /// Gives a name to an open file without one: host_fd is a /proc/PID/fd/N path. O_TMPFILE.
  virtual Result<void> link_host(const std::string& host_fd, const std::string& to,
                                 const Caller& caller) = 0;
  virtual Result<void> unlink(const std::string& path, const Caller& caller) = 0;
  virtual Result<void> rmdir(const std::string& path, const Caller& caller) = 0;
  /// flags: RENAME_NOREPLACE, RENAME_EXCHANGE; others EINVAL. rename(2).
  virtual Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                              const Caller& caller) = 0;
  /// Does not follow a link. size: truncate(2).
  virtual Result<void> setattr(const std::string& path, const SetAttr& set,
                               const Caller& caller) = 0;
  virtual Result<void> setxattr(const std::string& path, const std::string& name,
                                std::string_view value, int flags, const Caller& caller) = 0;
  virtual Result<void> removexattr(const std::string& path, const std::string& name,
                                   const Caller& caller) = 0;
  /// Flags, extended attributes and ACLs of nodes are kept by the file system itself: what follows
  /// is asked of it. ENOSYS: the host's object answers (Found::meta_host), and the mode.
  virtual bool own_meta() const { return false; }
  /// FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR. ENOTTY: its nodes have none.
  virtual Result<FileFlags> getflags(const std::string& path) {
    (void)path;
    return Errno(ENOSYS);
  }
  /// FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR. EPERM; EOPNOTSUPP: not these.
  virtual Result<void> setflags(const std::string& path, const FileFlags& set,
                                const Caller& caller) {
    (void)path, (void)set, (void)caller;
    return Errno(EOPNOTSUPP);
  }
  /// getxattr(2). ENODATA, EACCES.
  virtual Result<std::string> getxattr(const std::string& path, const std::string& name,
                                       const Caller& caller) {
    (void)path, (void)name, (void)caller;
    return Errno(ENOSYS);
  }
  /// listxattr(2): the names that the caller may know.
  virtual Result<std::vector<std::string>> listxattr(const std::string& path,
                                                     const Caller& caller) {
    (void)path, (void)caller;
    return Errno(ENOSYS);
  }
  /// May the caller do R_OK, W_OK, X_OK with the node? EACCES. access(2)
  virtual Result<void> permits(const std::string& path, int want, const Caller& caller) {
    (void)path, (void)want, (void)caller;
    return Errno(ENOSYS);
  }

  /// statfs(2) of the node where the host's answer would be wrong; ENOSYS: ask the host object.
  virtual Result<struct statfs> statfs(const std::string& path) {
    (void)path;
    return Errno(ENOSYS);
  }
  /// The subtree at a directory or file as a file system of its own, with the mounts below it: what
  /// a bind mount or the lower of a cow is made of. The simplest one that does it. ENOENT, EACCES.
  virtual Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) {
    (void)path;
    return Errno(ENOSYS);
  }
  /// The host path to be watched for changes of the node. ENOSYS: the host object itself. Else the
  /// error is the caller's: EOPNOTSUPP where changes would not be told. inotify_add_watch(2).
  virtual Result<std::string> watch(const std::string& path, const Caller& caller) = 0;
  /// A write would let the file system grow by up to `bytes`: how many are allowed now. ENOSPC at
  /// 0. Asked only of file systems with quota().
  virtual uint64_t reserve(uint64_t bytes) { return bytes; }
  /// Writes to this file system have to be announced by reserve().
  virtual bool quota() const { return false; }
  /// A task is about to write to the host object `host`, which was opened with
  /// OpenHow::announced, or wants it on disk now. Asked only of file systems with quota() and
  /// keeps().
  virtual void writing(const std::string& host, const PlannedWrite& write) {
    (void)host, (void)write;
  }
  /// Is it of use to writing() where the object is written? Else that is told to be anywhere.
  virtual bool asks_where(const std::string& host) {
    (void)host;
    return false;
  }
  /// The names that lead to the host object `host` survive a power cut, with all that is needed to
  /// find them again; "": those of every object. Before fsync(2) of the object, whose content is
  /// the kernel's part. Asked only of file systems with keeps(). May wait for the disk. EIO,
  /// ENOSPC.
  virtual Result<void> sync_names(const std::string& host) {
    (void)host;
    return {};
  }
  /// Everything survives a power cut, content, too. Before syncfs(2).
  virtual Result<void> sync_all() { return {}; }
  /// What is changed here outlives the view: fsync(2) and its kin are announced by sync_names().
  virtual bool keeps() const { return false; }
  /// The view ends. Ephemeral state goes, named state is on disk afterwards.
  virtual Result<void> shutdown() { return {}; }
};

}  // namespace viewsh
