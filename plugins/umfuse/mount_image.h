#pragma once

#include <memory>

#include "viewsh/plugin.h"

namespace viewsh {

/// `--mount TYPE:SRC:AT[:OPT,...]` with an image or archive as the source. Null: `error` is filled.
std::shared_ptr<FileSystem> mount_image(const MountRequest& request, Host& host, MountError* error);

/// The one symbol of the module that has all of this, and what mount_image() is there. The plugin
/// loads it when the first image is mounted: it brings libraries along with which every view would
/// start more slowly.
#define VIEWSH_IMAGES_SYMBOL "viewsh_mount_image"
using MountImage = std::shared_ptr<FileSystem> (*)(const MountRequest& request, Host& host,
                                                   MountError* error);

}  // namespace viewsh
