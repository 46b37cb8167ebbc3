#pragma once

#include <memory>

#include "viewsh/device.h"
#include "viewsh/plugin.h"

namespace viewsh {

class StreamFeeder;

/// The devices of mem(4), null(4) and random(4): null, zero, full, random. All but a random one
/// with a seed are the host's own. Null: `error` is filled.
std::unique_ptr<Device> open_memory_device(const DeviceRequest& request, StreamFeeder& feeder,
                                           MountError* error);

}  // namespace viewsh
