#pragma once

#include "syscalls/task.h"
#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// A task's descriptor in the engine: the same open file description, its position shared.
/// Errors: EBADF, EPERM (refused by the system). pidfd_getfd(2).
Result<UniqueFd> borrow_fd(const Task& task, int fd);

}  // namespace viewsh
