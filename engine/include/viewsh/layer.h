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
  std::string at;     ///< the mount point that it was made for
  std::string lower;  ///< host path of the tree below
  std::string path;   ///< the layer's directory
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

/// Layers outside a running view: what the commands layers, diff, commit and discard do. Failures
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
};

}  // namespace viewsh
