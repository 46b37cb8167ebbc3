#pragma once

#include <cstddef>
#include <cstdint>

namespace viewsh {

/// A FUSE server that answers as these bytes say, and an image that is used in the same way.
void fuse_fuzz_one(const uint8_t* data, size_t size);

}  // namespace viewsh
