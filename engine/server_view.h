#pragma once

#include "engine.h"
#include "syscalls/fuse_device.h"

namespace viewsh {

/// run_view() of a view that is there for a FUSE server of another one, which gets its mount. When
/// `control` is at its end the other view has no use for that any more, and the server is told so.
int run_server_view(const ViewSpec& spec, const RunOptions& options, FuseDevice::Taker taker,
                    int control);

}  // namespace viewsh
