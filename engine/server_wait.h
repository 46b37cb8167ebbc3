#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "syscalls/fuse_device.h"
#include "tracee/stopped.h"

namespace viewsh {

/// A call in which a task waits, as a FUSE server does: a read, or one of the poll(2) family. Of a
/// descriptor of /dev/fuse without a connection the kernel says at once what a socket, which stands
/// for it, doesn't: EPERM before the mount and ENODEV after it where it is read, and POLLERR.
/// fuse_dev_do_read() and fuse_dev_poll() of fs/fuse/dev.c
class ServerWait {
 public:
  /// The task may run. proc_pid_syscall(5)
  ServerWait(const FuseDevice& device, pid_t tid);
  /// It is stopped in its call.
  ServerWait(const FuseDevice& device, pid_t tid, const Registers& regs);

  /// What the call is to return; none: it may wait.
  std::optional<long> answer() const { return answer_; }
  /// What the call leaves in the task's memory with that. EFAULT.
  Result<void> write() const;
  /// It may wait for one, which can't be told.
  bool is_lost() const { return lost_; }

 private:
  using Arguments = std::array<uint64_t, 6>;
  void look(long nr, const Arguments& arguments);
  int error_of(int fd) const;
  void look_at_read(const Arguments& arguments);
  void look_at_poll(const Arguments& arguments);
  void look_at_select(const Arguments& arguments);
  void look_at_epoll(const Arguments& arguments);
  void put(uint64_t at, std::string bytes) { writes_.emplace_back(at, std::move(bytes)); }

  const FuseDevice& device_;
  pid_t tid_;
  std::optional<long> answer_;
  bool lost_ = false;
  std::vector<std::pair<uint64_t, std::string>> writes_;
};

}  // namespace viewsh
