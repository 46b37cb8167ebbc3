#pragma once

#include <cstddef>
#include <cstdint>

namespace viewsh {

/// Checksums of an input of archive_fuzz_one() as the headers are: those of tar headers that say
/// "ustar", and of the two headers of a 7z file.
void repair_checksums(uint8_t* data, size_t size);

}  // namespace viewsh
