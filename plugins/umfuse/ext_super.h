#pragma once

#include <ext2fs/ext2fs.h>

#include <string>

#include "ext_device.h"

namespace viewsh {

/// The superblock of the image, if there is one that describes a file system which fits into the
/// device: what libext2fs then allocates is bounded by the device's size. *why: a line without a
/// subject. EINVAL, EIO. fs/ext4/super.c, ext4_check_geometry().
Result<ext2_super_block> ext_read_super(ExtDevice* device, std::string* why);

/// Why an image with these features can't be shown at all; empty: it can.
std::string ext_refusal(const ext2_super_block& super);
/// Why it can be shown and must not be changed; empty: it may.
std::string ext_read_only_reason(const ext2_super_block& super);
/// What the user should know before he goes on: errors, not cleanly unmounted. Empty: nothing.
std::string ext_warning(const ext2_super_block& super);
/// Bytes of the file system.
uint64_t ext_bytes(const ext2_super_block& super);

}  // namespace viewsh
