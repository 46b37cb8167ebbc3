#pragma once

#include <cstdint>

namespace viewsh::viewfs {

/// Space that a layer holds, in the file `reserve`, for lines of its log: so that a layer on a full
/// disk can still be opened, and something be removed in it.
///
/// Sees to it that there is enough to write a log of `log_size` bytes anew, and some lines more.
/// Where the file system has no room, or can't reserve any, there is none.
void keep_reserve(int layer_fd, uint64_t log_size);
/// ENOSPC or EDQUOT was met: gives the space back. False: there was none.
bool spend_reserve(int layer_fd);

}  // namespace viewsh::viewfs
