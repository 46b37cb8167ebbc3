#pragma once

#include <cstddef>
#include <cstdint>

namespace viewsh {

/// What the fuzzers run over bytes of any kind: it ends, crashes nothing, allocates within reason,
/// and what comes out is what image.h promises; else the program is aborted. Unit tests run the
/// same over the seeds.

/// A FUSE server that answers as these bytes say, and an image that is used in the same way.
void fuse_fuzz_one(const uint8_t* data, size_t size);
/// An ext2/3/4 image (sparse.h) that is read as a whole, changed and read again. What is done is
/// told by the first bytes.
void ext_fuzz_one(const uint8_t* data, size_t size);
/// An ISO (sparse.h) that is read as a whole.
void iso_fuzz_one(const uint8_t* data, size_t size);
/// An archive that is read as a whole; the first byte says as what it is mounted.
void archive_fuzz_one(const uint8_t* data, size_t size);

}  // namespace viewsh
