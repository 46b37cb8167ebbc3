#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine.h"
#include "fuse_server.h"
#include "plugin_host.h"
#include "syscalls/user_mounts.h"
#include "vfs/host_fs.h"
#include "vfs/view.h"

namespace viewsh {

/// What a specification became: the mount table and what the filter has to trap for it.
struct BuiltView {
  std::shared_ptr<const View> view;
  /// Every mount that was made, oldest first; those that others cover as well.
  std::vector<std::shared_ptr<const Mount>> made;
  std::shared_ptr<PathCache> cache;
  std::vector<ExecFormats*> exec_formats;
  std::vector<std::unique_ptr<FuseServer>> servers;  ///< the oldest first
  /// The host's tree at its own place, of which nothing is hidden or covered but viewsh's own.
  bool shows_host = false;
  unsigned traps = 0;            ///< bits of Trap; 0: nothing differs from the host
  Identity* identity = nullptr;  ///< null: that of who starts the view. Owned by its plugin
  bool host_proc = true;
  int next_id = 1;  ///< for mounts that are made later
  /// What the view's processes may mount, where that isn't all.
  std::vector<UserMount> user_mounts;
};

/// Makes the mounts of a specification in their order, each over the view so far. A mount point
/// that isn't there gets a scaffold: an internal mount with the directories that lead to it.
/// `look_only`: nothing will run in it; no named layer is made or locked.
UserError build_view(const ViewSpec& spec, PluginHost* host, BuiltView* out,
                     bool look_only = false);

/// File systems end in the reverse order of their mounts: what is on top first. False: something
/// couldn't be written back, of which `tell` got a line each. FUSE servers of the profile end last.
bool shut_down(BuiltView& built, const std::function<void(const std::string&)>& tell);

}  // namespace viewsh
