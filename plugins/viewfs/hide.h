#pragma once

#include <memory>

#include "viewsh/filesystem.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// `--hide PATH`: there is nothing, not even the mount point itself: every look is ENOENT and every
/// change is EACCES, so that the name can't be taken either. Null: `error` is filled.
std::shared_ptr<FileSystem> mount_hide(const MountRequest& request, Host& host, MountError* error);

}  // namespace viewsh
