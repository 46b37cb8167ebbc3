#pragma once

#include <memory>

#include "viewsh/plugin.h"

namespace viewsh {

/// The file system of a FUSE server of the view, whose connection is in the request. Nothing waits
/// for the server here: it reads its first request when mount(2) is over. Null: `error` is filled.
std::shared_ptr<FileSystem> mount_fuse(const MountRequest& request, Host& host, MountError* error);

}  // namespace viewsh
