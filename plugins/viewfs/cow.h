#pragma once

#include <memory>

#include "viewsh/plugin.h"

namespace viewsh {

/// A copy-on-write file system over `request.below` at `request.at`: changes go to the layer
/// `request.layer`, or to one that ends with the view. Null: `error` is filled (EBUSY: the layer is
/// in use; EINVAL: not a layer of ours; ENOSPC, EROFS, EACCES: it can't be written).
std::shared_ptr<FileSystem> mount_cow(const MountRequest& request, Host& host, MountError* error);

}  // namespace viewsh
