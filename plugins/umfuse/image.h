#pragma once

#include <sys/statfs.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/filesystem.h"
#include "viewsh/result.h"

namespace viewsh {

/// A node of an image: the inode number where the format has one. Never 0.
using NodeId = uint64_t;

/// A file system inside a file, for reading: what an archive, an ISO or an ext2/3/4 image hold.
///
/// Nothing here knows views, mounts or paths: nodes go by number, names are single components that
/// the caller has from list() or from a path. An image is hostile until shown otherwise: whatever
/// its bytes say, a call ends, allocates within reason and gives EUCLEAN (a structure that can't
/// be) or EIO (not to be read). Names that are empty, ".", "..", or hold '/' or NUL are never
/// given out; numbers that don't exist are ESTALE. Called by one thread at a time.
class Image {
 public:
  virtual ~Image() = default;

  /// As in /proc/mounts: "ext4", "iso9660", "tar"...
  virtual std::string_view type() const = 0;
  virtual NodeId root() const = 0;
  /// ENOENT, ENOTDIR, ENAMETOOLONG.
  virtual Result<NodeId> lookup(NodeId directory, std::string_view name) = 0;
  /// All of STATX_BASIC_STATS, and STATX_BTIME where the format has it; stx_ino is the number of
  /// the node, stx_dev_* are left 0.
  virtual Result<Attr> getattr(NodeId node) = 0;
  /// The same for who has the node open, or brings home what was written by who had.
  virtual Result<Attr> getattr_open(NodeId node) { return getattr(node); }
  /// Each name once, without "." and "..", in any order. ENOTDIR.
  virtual Result<std::vector<DirEntry>> list(NodeId directory) = 0;
  /// The text of a symbolic link, 1 to PATH_MAX - 1 bytes. EINVAL: the node is something else.
  virtual Result<std::string> readlink(NodeId node) = 0;
  /// Writes the content of a regular file into the empty file `to`, from offset 0; holes stay
  /// holes, and the length is stx_size at the end. ENOSPC and its like are those of `to`.
  virtual Result<void> extract(NodeId node, int to) = 0;
  /// Names of extended attributes, with prefix ("user.x").
  virtual Result<std::vector<std::string>> listxattr(NodeId node) = 0;
  /// ENODATA.
  virtual Result<std::string> getxattr(NodeId node, const std::string& name) = 0;
  virtual Result<struct statfs> statfs() = 0;

  /// Flags, ACLs and all kinds of extended attributes are the nodes' own: what follows answers.
  virtual bool own_meta() const { return false; }
  /// FS_IOC_GETFLAGS. ENOTTY: nodes have none.
  virtual Result<FileFlags> getflags(NodeId node) {
    (void)node;
    return Errno(ENOTTY);
  }
  /// Is this still the number of a node? It may have gone while a call waited.
  virtual bool knows(NodeId node) const {
    (void)node;
    return true;
  }
  /// What the node's ACL says to R_OK, W_OK, X_OK of a caller who is neither its owner nor root;
  /// nullopt: there is none, its mode counts. posix_acl_permission() of fs/posix_acl.c
  virtual std::optional<bool> acl_allows(NodeId node, const Attr& attr, int want,
                                         const Caller& caller) {
    (void)node, (void)attr, (void)want, (void)caller;
    return std::nullopt;
  }
};

/// An image that can be changed. Each operation is done or not done for every later call; it is on
/// disk after sync(). Permission is the caller's business; types, names and limits are checked here
/// (EEXIST, ENOTEMPTY, ENOTDIR, EISDIR, EMLINK, ENOSPC, EFBIG, EINVAL: a directory into itself).
class WritableImage : public Image {
 public:
  /// Who and what a new node is: type and permissions of stat(2), owner, and a device number.
  struct NewNode {
    mode_t mode = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    dev_t rdev = 0;
  };
  /// Every change is EROFS: the image could only be opened so.
  virtual bool read_only() const = 0;
  virtual Result<NodeId> mknod(NodeId directory, std::string_view name, const NewNode& node) = 0;
  virtual Result<NodeId> mkdir(NodeId directory, std::string_view name, const NewNode& node) = 0;
  virtual Result<NodeId> symlink(NodeId directory, std::string_view name, const std::string& target,
                                 const NewNode& node) = 0;
  /// A regular file without a name, held once, as if it were made in the directory. O_TMPFILE.
  virtual Result<NodeId> make_nameless(NodeId directory, const NewNode& node) = 0;
  virtual Result<void> link(NodeId node, NodeId directory, std::string_view name) = 0;
  /// A node whose last name goes lives on while it is held, on the list of orphans.
  virtual Result<void> unlink(NodeId directory, std::string_view name) = 0;
  virtual Result<void> rmdir(NodeId directory, std::string_view name) = 0;
  /// RENAME_NOREPLACE, RENAME_EXCHANGE; rename(2).
  virtual Result<void> rename(NodeId from_directory, std::string_view from, NodeId to_directory,
                              std::string_view to, unsigned flags) = 0;
  /// Counts: a held node is not freed.
  virtual Result<void> hold(NodeId node) = 0;
  virtual Result<void> release(NodeId node) = 0;
  /// UTIME_NOW is the time of the call. size: a longer file gets a hole.
  virtual Result<void> setattr(NodeId node, const SetAttr& set) = 0;
  /// The length alone, for who has the node open, or brings home what was written by who had.
  virtual Result<void> resize_open(NodeId node, uint64_t size) {
    SetAttr set;
    set.size = size;
    return setattr(node, set);
  }
  /// The times that the node had before its content was brought here, where those can be set.
  virtual Result<void> restore_times(NodeId node, timespec mtime, timespec ctime) {
    (void)ctime;
    SetAttr set;
    set.mtime = mtime;
    return setattr(node, set);
  }
  /// XATTR_CREATE, XATTR_REPLACE; ENODATA, EEXIST, ENOSPC, ERANGE.
  virtual Result<void> setxattr(NodeId node, const std::string& name, std::string_view value,
                                int flags) = 0;
  virtual Result<void> removexattr(NodeId node, const std::string& name) = 0;
  /// FS_IOC_SETFLAGS. EOPNOTSUPP: not these.
  virtual Result<void> setflags(NodeId node, const FileFlags& set) {
    (void)node, (void)set;
    return Errno(ENOTTY);
  }
  /// The reading and writing of a part. Short only at the end of the file, or ENOSPC, EFBIG.
  virtual Result<size_t> pread(NodeId node, void* to, size_t size, uint64_t offset) = 0;
  virtual Result<size_t> pwrite(NodeId node, const void* from, size_t size, uint64_t offset) = 0;
  /// FALLOC_FL_KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE; others EOPNOTSUPP. fallocate(2).
  virtual Result<void> fallocate(NodeId node, int mode, uint64_t offset, uint64_t size) = 0;
  /// Everything before this call survives a power cut, and the image is consistent.
  virtual Result<void> sync() = 0;
  /// sync(), and the image is as after umount(8); held nodes without names go. Nothing else may be
  /// called then.
  virtual Result<void> close() = 0;
};

}  // namespace viewsh
