#pragma once

#include <memory>

#include "viewsh/filesystem.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// `--tmpfs AT[:size=64M]`: an empty directory of the view's own, in memory where the host has a
/// memory file system, gone when the view ends. Options as tmpfs(5): size=, nr_blocks=, nr_inodes=,
/// mode=, uid= and gid= (one's own only), ro. Null: `error` is filled.
///
/// The limit of size= is kept by quota() and reserve(). What it can't see: the blocks of a file
/// that is deleted but still open, and of files in directories that the user may not read. Such
/// blocks are given out a second time.
std::shared_ptr<FileSystem> mount_tmpfs(const MountRequest& request, Host& host, MountError* error);

}  // namespace viewsh
