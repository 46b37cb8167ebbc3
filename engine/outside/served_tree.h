#pragma once

#include <sys/statfs.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh {

/// What a server calls a node between the first look-up of a name and the last forget(): the nodeid
/// of the FUSE protocol. Never given twice.
using ServedId = uint64_t;
inline constexpr ServedId kServedRoot = 1;

/// What a name led to. `attr.stx_ino` is the number to be shown: one for each node of all the
/// view's file systems, which show as one device.
struct ServedEntry {
  ServedId id = 0;
  Attr attr = {};
};

/// A file that was opened; the descriptor is the server's own, and its content is the node's.
/// Ends with ServedTree::close().
class ServedFile {
 public:
  virtual ~ServedFile() = default;
  virtual int fd() const = 0;
  /// Opened with O_APPEND, which the descriptor hasn't: the position is the server's to say.
  virtual bool appends() const = 0;
};

/// The file tree of a view for a server that shows it to processes of no view, by node and name as
/// the FUSE protocol asks. Who asks is always the server's own user. Errors are those of the system
/// call of the same name; ESTALE: the node has no name any more. One thread.
class ServedTree {
 public:
  virtual ~ServedTree() = default;
  /// Before each request: what it makes is made with this umask(2).
  virtual void begin(mode_t umask) = 0;

  /// Counts for forget(), as does every call that returns a ServedEntry.
  virtual Result<ServedEntry> lookup(ServedId parent, const std::string& name) = 0;
  virtual void forget(ServedId node, uint64_t count) = 0;
  virtual Result<Attr> getattr(ServedId node) = 0;
  /// `file`: null, or one that is open on the node.
  virtual Result<Attr> setattr(ServedId node, const SetAttr& set, ServedFile* file) = 0;
  virtual Result<std::string> readlink(ServedId node) = 0;
  /// Without "." and "..".
  virtual Result<std::vector<DirEntry>> list(ServedId node) = 0;
  virtual Result<struct statfs> statfs(ServedId node) = 0;

  virtual Result<ServedEntry> mknod(ServedId parent, const std::string& name, mode_t mode,
                                    dev_t dev) = 0;
  virtual Result<ServedEntry> mkdir(ServedId parent, const std::string& name, mode_t mode) = 0;
  virtual Result<ServedEntry> symlink(ServedId parent, const std::string& name,
                                      const std::string& target) = 0;
  virtual Result<ServedEntry> link(ServedId node, ServedId parent, const std::string& name) = 0;
  virtual Result<void> unlink(ServedId parent, const std::string& name) = 0;
  virtual Result<void> rmdir(ServedId parent, const std::string& name) = 0;
  virtual Result<void> rename(ServedId from, const std::string& name, ServedId to,
                              const std::string& new_name, unsigned flags) = 0;

  /// The pointer is valid until close().
  virtual Result<ServedFile*> open(ServedId node, int flags) = 0;
  /// `flags` has O_CREAT.
  virtual Result<ServedEntry> create(ServedId parent, const std::string& name, int flags,
                                     mode_t mode, ServedFile** file) = 0;
  virtual void close(ServedFile* file) = 0;
  /// Before a write that lets the file grow: how many of the bytes are allowed. ENOSPC.
  virtual Result<uint64_t> reserve(ServedFile* file, uint64_t bytes) = 0;
  /// fsync(2), fdatasync(2).
  virtual Result<void> sync(ServedFile* file, bool data_only) = 0;
  virtual Result<void> sync_directory(ServedId node) = 0;

  virtual Result<std::string> getxattr(ServedId node, const std::string& name) = 0;
  /// The names, each with its zero byte.
  virtual Result<std::string> listxattr(ServedId node) = 0;
  virtual Result<void> setxattr(ServedId node, const std::string& name, std::string_view value,
                                int flags) = 0;
  virtual Result<void> removexattr(ServedId node, const std::string& name) = 0;
};

/// What the module that knows libfuse3 (engine/outside/fuse) does: it is loaded by mount-host
/// alone, so that no view pays for the library.
class TreeServer {
 public:
  virtual ~TreeServer() = default;
  /// Mounts at `dir`, which is there already. Empty, or why it can't be: one line.
  virtual std::string mount(const std::string& dir, const std::string& source) = 0;
  /// Answers until the file system is unmounted or a SIGINT, SIGTERM or SIGHUP comes. Empty: fine.
  virtual std::string serve() = 0;
  virtual void unmount() = 0;
};

/// Bumped with every change of this file.
inline constexpr unsigned kTreeServerVersion = 1;
struct TreeServerEntry {
  unsigned version = kTreeServerVersion;
  /// `tree` outlives the server.
  std::unique_ptr<TreeServer> (*make)(ServedTree& tree) = nullptr;
};
#define VIEWSH_TREE_SERVER_SYMBOL "viewsh_tree_server"

}  // namespace viewsh
