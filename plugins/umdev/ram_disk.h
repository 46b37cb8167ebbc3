#pragma once

#include <memory>

#include "viewsh/device.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// A RAM disk as brd's: a block device over memory that goes with the view. The request needs a
/// size, a multiple of 512; options are ro and mode. Null: `error` is filled.
///
/// What a task holds is a memfd of fixed size: a write past the end is EPERM where a block device
/// has ENOSPC.
std::unique_ptr<Device> open_ram_disk(const DeviceRequest& request, MountError* error);

}  // namespace viewsh
