#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "viewsh/layer.h"

namespace viewsh::viewfs {

struct LayerView;
struct NodeChange;

/// What is to become of each path of a layer: of those that a user named, of what is below them,
/// and of the rest. The nearest decision at or above a path is its own.
class Selection {
 public:
  enum class Verdict : char {
    kCommit = 'c',  ///< meant: is applied, or thrown away by discard
    kKeep = 'k',    ///< stays in the layer
    kDrop = 'd',    ///< leaves the layer without being applied
  };

  /// Paths are absolute paths of the view or glob patterns of such (see path_matches()). `error` is
  /// filled if one can't be in the layer, or is a pattern that matches nothing.
  Selection(const LayerView& view, const std::vector<std::string>& paths, std::string* error);
  Selection(const LayerView& view, const std::vector<std::string>& paths,
            const CommitOptions& options, std::string* error);
  /// As stored by a commit: relative paths.
  Selection(Verdict rest, std::map<std::string, Verdict> decisions, bool force = false)
      : rest_(rest), decisions_(std::move(decisions)), force_(force) {}

  Verdict of(const std::string& path) const;
  bool has(const std::string& path) const { return of(path) == Verdict::kCommit; }
  /// Something at or below `path` is meant.
  bool touches(const std::string& path) const;
  /// Something below `path` stays in the layer.
  bool keeps_below(const std::string& path) const;
  /// Everything is meant.
  bool all() const { return rest_ == Verdict::kCommit && decisions_.empty(); }
  /// Nothing stays in the layer.
  bool whole() const;
  /// A conflict at `path` is to be ignored.
  bool forced(const std::string& path) const;

  Verdict rest() const { return rest_; }
  const std::map<std::string, Verdict>& decisions() const { return decisions_; }
  /// The first path that was named and has no change at or below it; empty: there is none.
  std::string without_change(const std::vector<NodeChange>& changes) const;

 private:
  struct Named {
    std::string text;
    std::vector<std::string> paths;
  };
  std::vector<std::string> resolve(const LayerView& view, const std::string& text,
                                   std::string* error);
  bool any_below(const std::string& path, const std::function<bool(Verdict)>& test) const;

  Verdict rest_ = Verdict::kCommit;
  std::map<std::string, Verdict> decisions_;
  std::set<std::string> forced_;
  bool force_ = false;
  std::vector<Named> named_;
};

/// Matches a path against a pattern component by component: * ? [] as in fnmatch(3) within one
/// name, ** for any number of names.
bool path_matches(const std::string& pattern, const std::string& path);

}  // namespace viewsh::viewfs
