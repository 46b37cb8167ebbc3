#pragma once

#include <functional>
#include <string>
#include <vector>

#include "commit_record.h"
#include "commit_tree.h"

namespace viewsh::viewfs {

/// The changes of a record that are one rename(2) between the layer and the lower each. None needs
/// another, so several threads make them, and whether one was made shows in the layer alone, where
/// nobody else changes names: what comes from upper/ is there no more, what left the lower is.
class DirectChanges {
 public:
  /// Descriptors: of the lower's root, of upper/, of the layer's directory. `at`: what the view
  /// calls the lower's root.
  DirectChanges(const CommitRecord& record, int lower, int upper, int layer, std::string at)
      : r_(record), lower_(lower), upper_(upper), layer_(layer), at_(std::move(at)) {}

  /// Where Direct::Kind::kOut puts what it takes; in the layer.
  static constexpr const char* kReplaced = "replaced";
  using Told = std::function<void(uint64_t done)>;

  /// Makes kReplaced, where it is needed.
  Result<void> prepare() const;
  /// One of them was made.
  bool begun() const;
  /// Makes those that aren't made yet. `fresh`: none is. Empty, or why it stopped.
  std::string apply(bool fresh, const Told& tell);
  /// apply() failed since the layer isn't where the lower is, for rename(2): EXDEV.
  bool elsewhere() const { return elsewhere_; }
  /// Takes back those that were made.
  std::string undo(const Told& tell);
  /// The same for each that was made, whatever becomes of the others. A line for each that can't
  /// be.
  std::vector<std::string> undo_each();
  /// When all are taken back: the times of directories of upper/, and kReplaced goes.
  std::string undo_rest() const;

 private:
  enum class Way { kForth, kBack };
  /// The directories that a worker is in.
  struct Trees {
    Tree lower, upper;
  };
  std::string all(Way way, bool fresh, const Told& tell);
  /// One of them. 0, or an errno: ESTALE if what is there is not what it should be.
  Errno one(Trees* trees, const Direct& d, Way way, bool fresh) const;
  Errno forth(const Dir& lower, int own, const std::string& leaf, const Direct& d) const;
  Errno back(const Dir& lower, int own, const std::string& leaf, const Direct& d) const;
  Result<bool> made(int own, const std::string& leaf, const Direct& d) const;
  std::string fail(const Direct& d, Errno why) const;

  const CommitRecord& r_;
  int lower_, upper_, layer_;
  std::string at_;
  UniqueFd replaced_;
  bool elsewhere_ = false;
};

}  // namespace viewsh::viewfs
