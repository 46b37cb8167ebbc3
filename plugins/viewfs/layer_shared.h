#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "viewsh/result.h"

namespace viewsh::viewfs {

/// What upper/ shares with the layer's snapshots: the objects of a snapshot are links to the inodes
/// that upper/ had then. The view keeps its inode when it is written to, the snapshots get a copy
/// first; so open descriptors, shared maps, links among the view's names and inode numbers stay.
/// Snapshots are read when the first inode of several names is asked for.
class SnapshotLinks {
 public:
  /// `layer_fd` is borrowed.
  explicit SnapshotLinks(int layer_fd) : layer_fd_(layer_fd) {}

  /// There are no snapshots, so nothing else needs to be asked. False, too, where it can't be told.
  bool none();
  /// How many names of an inode are the snapshots', as far as they can be read.
  uint32_t count(uint64_t ino);
  /// To be called before the content of `path` in `upper_fd` changes: snapshots that share it get a
  /// copy. ENOSPC, EACCES...: some still share it, and it must not be changed.
  Result<void> unshare(int upper_fd, const std::string& path);

 private:
  struct Object {
    uint64_t ino = 0;
    uint32_t snapshot = 0;  ///< in names_
    std::string name;       ///< in objects/
    bool own = false;       ///< has a copy of its own by now
  };
  Result<void> read();
  Result<void> read_objects(uint32_t snapshot, const std::string& shelf);
  Result<void> replace(int upper_fd, const std::string& path, Object* first, Object* last);

  int layer_fd_;
  int some_ = -1;  ///< there are snapshots; -1: not looked
  bool read_ = false;
  std::vector<std::string> names_;
  std::vector<Object> objects_;  ///< in order of ino
};

/// Takes away what is left of snapshots whose making or removal was cut short.
void drop_unfinished_snapshots(int layer_fd);
/// The names of a layer's finished snapshots, in order. None: there is no directory of them.
Result<std::vector<std::string>> snapshot_names(int layer_fd);

}  // namespace viewsh::viewfs
