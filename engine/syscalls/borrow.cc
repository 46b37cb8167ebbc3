#include "syscalls/borrow.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace viewsh {

Result<UniqueFd> borrow_fd(const Task& task, int fd) {
  // The thread itself where the kernel takes that (6.9): the leader may be gone, or have other
  // files.
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, task.tid, O_EXCL)));
  if (!process) process.reset(static_cast<int>(syscall(SYS_pidfd_open, task.tgid, 0)));
  if (!process) return Errno::last();
  UniqueFd borrowed(static_cast<int>(syscall(SYS_pidfd_getfd, process.get(), fd, 0)));
  if (!borrowed) return Errno::last();
  return borrowed;
}

}  // namespace viewsh
