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
  std::string path;  ///< absolute view path
  std::string
      old_path;       ///< kRenamed; kDeleted: where `path` leads through a rename, but didn't then
  std::string lower;  ///< host path of the old content, empty if none
  std::string upper;  ///< host path of the new content, empty if none
};

struct LayerInfo {
  std::string name;
  std::string at;                 ///< the mount point that it was made for
  std::string lower;              ///< host path of the tree below
  std::vector<std::string> over;  ///< the layers that it stands on, the lowest first
  std::string path;               ///< the layer's directory
  uint64_t bytes = 0;
  uint64_t changes = 0;
  int64_t last_used = 0;    ///< seconds since the epoch
  std::string in_use;       ///< the view that holds it, or empty
  bool unfinished = false;  ///< a commit of it was cut short
};

struct CommitOptions {
  bool dry_run = false;
  bool force = false;               ///< over all that changed underneath
  std::vector<std::string> ours;    ///< paths: over what changed underneath there
  std::vector<std::string> theirs;  ///< paths: the lower's stays, the layer's is dropped
  std::vector<std::string> skip;    ///< paths: stay in the layer; the nearest of all these counts
  /// Told of each step: what is being done, how much of it, out of how much.
  std::function<void(const char* phase, uint64_t done, uint64_t total)> progress;
};

struct CommitReport {
  std::vector<Change> applied;         ///< (dry_run: would be)
  std::vector<std::string> conflicts;  ///< a line each: path and what changed underneath
};

/// How a tar is, or is to be, compressed.
enum class Compression : uint8_t { kNone, kGzip, kZstd };

/// How far an export or import is.
struct TransferProgress {
  uint64_t nodes = 0;
  uint64_t bytes = 0;  ///< content of files
  uint64_t done = 0;   ///< bytes of the archive that were read, of `total`; 0 of 0 if not known
  uint64_t total = 0;
};

struct TransferOptions {
  /// A directory that overlayfs takes as an upper instead of an archive.
  bool overlayfs = false;
  /// Of an archive that is written.
  Compression compression = Compression::kNone;
  std::string at = "/";    ///< import: the mount point that the layer is for
  std::string root = "/";  ///< import: host path of the root of the views that it is for
  /// Called every now and then; false: to stop, and to leave nothing behind.
  std::function<bool(const TransferProgress&)> progress;
};

struct TransferReport {
  uint64_t nodes = 0;
  uint64_t whiteouts = 0;
  uint64_t bytes = 0;
  std::vector<std::string> notes;  ///< a line each: what the other side can't hold
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
  std::string kept_as;             ///< the snapshot that holds the state before
  std::vector<std::string> notes;  ///< a line each: what could not be set as it was
};

/// What a layer is like on disk.
struct VerifyReport {
  std::vector<std::string> problems;  ///< a line each; with repair: those that are left
  std::vector<std::string> repaired;  ///< a line each: what was done
};

/// Layers outside a running view: what the commands layers, diff, commit, discard, export, import,
/// snapshot and restore do. Failures
/// come back as the text after `viewsh: `. Paths select what is at or below them; none: everything.
/// They may be patterns: * ? [] within a name as in glob(7), ** for any number of names.
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
  /// A shell script that does what commit would do. Conflicts are an error.
  virtual Answer<std::string> commit_script(const std::string& layer,
                                            const std::vector<std::string>& paths,
                                            const CommitOptions& options) {
    (void)layer, (void)paths, (void)options;
    return {{}, "commit --script: not available"};
  }
  /// Goes on with, or takes back, a commit that was cut short.
  virtual Answer<CommitReport> resume_commit(const std::string& layer,
                                             const CommitOptions& options) {
    (void)layer, (void)options;
    return {{}, "commit --resume: not available"};
  }
  virtual Answer<bool> undo_commit(const std::string& layer, const CommitOptions& options) {
    (void)layer, (void)options;
    return {{}, "commit --undo: not available"};
  }
  /// The names of the layers alone, which is faster than layers().
  virtual Answer<std::vector<std::string>> names() {
    Answer<std::vector<std::string>> out;
    auto all = layers();
    out.error = all.error;
    for (const LayerInfo& info : all.value) out.value.push_back(info.name);
    return out;
  }
  virtual Answer<bool> discard(const std::string& layer, const std::vector<std::string>& paths) = 0;
  /// Writes a layer as an OCI layer archive ("-": to standard output) or as a directory for
  /// overlayfs. `file` is there when all is in it, and not at all after a failure.
  virtual Answer<TransferReport> export_to(const std::string& layer, const std::string& file,
                                           const TransferOptions& options) = 0;
  /// Makes a new layer of what export_to() or others wrote ("-": from standard input). There is no
  /// layer after a failure.
  virtual Answer<TransferReport> import_from(const std::string& file, const std::string& layer,
                                             const TransferOptions& options) = 0;

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
