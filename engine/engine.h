#pragma once

#include <memory>
#include <string>
#include <vector>

#include "view_spec.h"

namespace viewsh {

/// The user's mistake or the system's refusal: one line without the leading "viewsh: ".
struct UserError {
  std::string text;  ///< empty: no error
  int exit_status = 125;
  explicit operator bool() const { return !text.empty(); }
};

/// Runs a command in a view and returns the status to exit with: the command's own, 128+N after
/// signal N, 125/126/127 with a line on standard error.
int run_view(const ViewSpec& spec, const RunOptions& options);

/// Where a path of the view comes from.
struct ResolvedPath {
  std::string view_path;  ///< canonical, links followed
  std::string mount_at;
  std::string mount_type;
  std::string layer;
  std::string host;  ///< empty: the view has no host object there
  bool exists = false;
  std::string error;  ///< ENOENT... as text, empty: fine
};
UserError resolve_in_view(const ViewSpec& spec, const std::vector<std::string>& paths,
                          std::vector<ResolvedPath>* out);

/// Builds the view without running anything: finds what can't work. For `check` and `show`.
UserError check_view(const ViewSpec& spec);

/// A plugin that was found, for `viewsh plugins`.
struct PluginInfo {
  std::string name, path, version, description, provides;
  uint32_t abi = 0;
  std::string error;  ///< why it can't be used; empty: fine
};
std::vector<PluginInfo> find_plugins();

/// The store of the plugin that keeps layers; null with `error` filled where there is none.
/// Valid until the program ends.
class LayerStore;
LayerStore* layer_store(UserError* error);

/// One line of `viewsh doctor`.
struct DoctorLine {
  std::string what;  ///< "ptrace", "seccomp filter"...
  bool ok = false;
  bool required = false;
  std::string finding;  ///< what was seen
  std::string advice;   ///< what to do; empty if fine
};
std::vector<DoctorLine> examine_system();

}  // namespace viewsh
