#pragma once

#include <optional>

#include "syscalls/call.h"

namespace viewsh {

/// FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR of a node whose file
/// system keeps flags itself (FileSystem::own_meta()). Nullopt: another request, or another node.
/// ioctl_iflags(2), ioctl_fsgetxattr(2)
std::optional<Outcome> flags_ioctl(Call& call, int fd, unsigned request, uint64_t argument);

/// What file_getattr(2) and file_setattr(2) do at a place. The record is at `to`, and `size` bytes
/// long, of which these know the first 24.
std::optional<Outcome> get_flags_at(Call& call, const Walked& walked, uint64_t to, uint64_t size);
std::optional<Outcome> set_flags_at(Call& call, const Walked& walked, uint64_t from, uint64_t size);

}  // namespace viewsh
