#pragma once

#include <linux/fs.h>

#include <cstdint>
#include <optional>

#include "syscalls/call.h"

namespace viewsh {

/// Requests of ioctl(2) that change the content of a regular file: file_ioctl() of fs/ioctl.c.
inline constexpr uint32_t kWritingRequests[] = {
    FICLONE,
    FICLONERANGE,
    // FS_IOC_RESVSP, UNRESVSP, RESVSP64, UNRESVSP64 and ZERO_RANGE, with a struct space_resv of 48
    // bytes. linux/falloc.h
    _IOC(_IOC_WRITE, 'X', 40, 48),
    _IOC(_IOC_WRITE, 'X', 41, 48),
    _IOC(_IOC_WRITE, 'X', 42, 48),
    _IOC(_IOC_WRITE, 'X', 43, 48),
    _IOC(_IOC_WRITE, 'X', 57, 48),
};

/// Where a call writes, as far as its arguments say so.
struct WritePlace {
  std::optional<uint64_t> offset = std::nullopt;  ///< in bytes; nullopt: anywhere
  bool at_position = false;                       ///< where the descriptor stands
  uint64_t size = PlannedWrite::kToTheEnd;
  bool maps = false;  ///< the file is mapped shared
};

/// The part of the file that a write will be in. Anywhere, if that can't be told.
PlannedWrite planned_write(Call& call, int fd, const WritePlace& place);

/// A task is about to change the content of what a descriptor is open on: the file systems that
/// compare contents hear of it (FileSystem::writing()). One that isn't told of a write(2) finds it
/// only when it compares everything.
void tell_writing(Call& call, int fd, const WritePlace& place);
/// The same, where the object is known.
void tell_writing_to(Call& call, int fd, const std::string& host, const WritePlace& place);
/// All that the task has written is there.
void tell_written(Call& call, const std::string& host);

/// Is it one that is told? What only shows a part of another isn't.
inline bool hears_of_writes(const FileSystem& fs) { return fs.quota() && fs.keeps(); }

/// The file systems of the table, covered ones too, and those that were mounted since, wherever
/// they are now.
std::vector<std::shared_ptr<const Mount>> all_mounts(Call& call);

}  // namespace viewsh
