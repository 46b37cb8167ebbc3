#pragma once

#include <optional>

#include "syscalls/call.h"

namespace viewsh {

/// Where a call writes, as far as its arguments say so.
struct WritePlace {
  std::optional<uint64_t> offset = std::nullopt;  ///< in bytes; nullopt: anywhere
  bool at_position = false;                       ///< where the descriptor stands
  uint64_t size = PlannedWrite::kToTheEnd;
  bool maps = false;  ///< the file is mapped shared
};

/// A task is about to change the content of what a descriptor is open on: the file systems that
/// compare contents hear of it (FileSystem::writing()). One that isn't told of a write(2) finds it
/// only when it compares everything.
void tell_writing(Call& call, int fd, const WritePlace& place);
/// The same, where the object is known.
void tell_writing_to(Call& call, int fd, const std::string& host, const WritePlace& place);
/// All that the task has written is there.
void tell_written(Call& call, const std::string& host);

/// The file systems of the table, and those that were mounted since, wherever they are now.
std::vector<std::shared_ptr<const Mount>> all_mounts(Call& call);

}  // namespace viewsh
