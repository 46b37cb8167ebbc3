#pragma once

#include <string>

#include "options.h"
#include "peer_mounts.h"
#include "wrappers.h"

namespace bench {

/// `bench --images`: an ext4 image and an ISO in a view, by fuse2fs(1) and fuseiso(1) on the
/// kernel's FUSE, and the same files on the disk, alternating; the table with its ratios. Where
/// nothing can be mounted, what debugfs(8) and bsdtar(1) need to unpack the whole.
std::string measure_images(const std::string& viewsh, const std::string& self,
                           const Scratch& scratch, const Options& options, PeerMounts* peers);

}  // namespace bench
