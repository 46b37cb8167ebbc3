#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh {

/// One change that a layer makes to the tree below it.
struct Change {
  enum class Kind : uint8_t { kAdded, kChanged, kDeleted, kRenamed, kTypeChanged };
  Kind kind = Kind::kChanged;
  bool content = false;   ///< kChanged: the content differs
  bool metadata = false;  ///< kChanged: mode, owner, times or xattrs differ
  NodeType type = NodeType::kUnknown;
  std::string path;      ///< absolute view path
  std::string old_path;  ///< kRenamed
  std::string lower;     ///< host path of the old content, empty if none
  std::string upper;     ///< host path of the new content, empty if none
};

struct LayerInfo {
  std::string name;
  std::string at;  ///< the mount point that it was made for
  std::string lower;  ///< host path of the tree below
  std::string path;   ///< the layer's directory
  uint64_t bytes = 0;
  uint64_t changes = 0;
  int64_t last_used = 0;  ///< seconds since the epoch
  std::string in_use;     ///< the view that holds it, or empty
};

struct CommitOptions {
  bool dry_run = false;
  bool force = false;
};

struct CommitReport {
  std::vector<Change> applied;  ///< (dry_run: would be)
  std::vector<std::string> conflicts;  ///< a line each: path and what changed underneath
};

/// A remembered state of a layer.
struct SnapshotInfo {
  std::string name;
  int64_t taken = 0;     ///< seconds since the epoch
  uint64_t bytes = 0;    ///< that the layer held then
  uint64_t changes = 0;  ///< to the lower as it was then
  std::string damage;    ///< why it can't be used; empty: it can
};

struct RestoreReport {
  std::string kept_as;  ///< the snapshot that holds the state before
  std::vector<std::string> notes;  ///< a line each: what could not be set as it was
};

/// What a layer is like on disk.
struct VerifyReport {
  std::vector<std::string> problems;  ///< a line each; with repair: those that are left
  std::vector<std::string> repaired;  ///< a line each: what was done
};

/// Layers outside a running view: what the commands layers, diff, commit and discard do. Failures
/// come back as the text after `viewsh: `. Paths select what is at or below them; none: everything.
class LayerStore {
 public:
  virtual ~LayerStore() = default;
  template <typename T>
  struct Answer {
    T value{};
    std::string error;  ///< empty: done
    bool ok() const { return error.empty(); }
  };
  virtual Answer<std::vector<LayerInfo>> layers() = 0;
  virtual Answer<std::vector<Change>> diff(const std::string& layer,
                                           const std::vector<std::string>& paths) = 0;
  virtual Answer<CommitReport> commit(const std::string& layer,
                                      const std::vector<std::string>& paths,
                                      const CommitOptions& options) = 0;
  virtual Answer<bool> discard(const std::string& layer, const std::vector<std::string>& paths) = 0;

  /// Oldest first.
  virtual Answer<std::vector<SnapshotInfo>> snapshots(const std::string& layer) = 0;
  virtual Answer<SnapshotInfo> take_snapshot(const std::string& layer, const std::string& name) = 0;
  virtual Answer<bool> delete_snapshot(const std::string& layer, const std::string& name) = 0;
  virtual Answer<RestoreReport> restore(const std::string& layer, const std::string& name) = 0;
  /// What a snapshot changes of the lower.
  virtual Answer<std::vector<Change>> diff_snapshot(const std::string& layer,
                                                    const std::string& name,
                                                    const std::vector<std::string>& paths) = 0;
  /// What differs between two snapshots. An empty `to` is the state now.
  virtual Answer<std::vector<Change>> diff_between(const std::string& layer,
                                                   const std::string& from, const std::string& to,
                                                   const std::vector<std::string>& paths) = 0;
  /// Checks a layer; `repair`: mends what can be mended, after a copy of the log was made.
  virtual Answer<VerifyReport> verify(const std::string& layer, bool repair) = 0;
};

}  // namespace viewsh
