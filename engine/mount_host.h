#pragma once

#include <string>

#include "engine.h"

namespace viewsh {

/// What `viewsh mount-host` was asked.
struct HostMountRequest {
  std::string source;  ///< how the mount table of the host names it: the profile
  std::string dir;     ///< an empty directory
  bool foreground = false;
};

/// Shows the view that `spec` describes at a directory of the host, as a FUSE file system, until it
/// is unmounted or a SIGINT, SIGTERM or SIGHUP comes; then everything is written back. Without
/// `foreground` it returns when the view is there, and another process serves it. Returns the
/// status to exit with: 0, or 125 with a line on standard error.
int mount_host(const ViewSpec& spec, const HostMountRequest& mount);

}  // namespace viewsh
