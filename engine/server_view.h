#pragma once

#include "engine.h"
#include "syscalls/fuse_device.h"

namespace viewsh {

/// run_view() of a view that is there for a FUSE server of another one, which gets its mount.
int run_server_view(const ViewSpec& spec, const RunOptions& options, FuseDevice::Taker taker);

}  // namespace viewsh
