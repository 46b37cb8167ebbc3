#include "server_wait.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "tracee/memory.h"

namespace viewsh {

namespace {

template <typename T>
std::string bytes_of(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof object};
}

std::string in_proc(pid_t tid, const char* what, int fd) {
  return "/proc/" + std::to_string(tid) + "/" + what + "/" + std::to_string(fd);
}

/// A descriptor that epoll(7) looks after. proc_pid_fdinfo(5)
struct Watched {
  int fd = -1;
  uint64_t data = 0;
};

std::vector<Watched> watched_by(pid_t tid, int epoll) {
  std::vector<Watched> out;
  std::ifstream file(in_proc(tid, "fdinfo", epoll));
  std::string word;
  while (file >> word) {
    if (word == "tfd:") {
      file >> std::dec >> out.emplace_back().fd;
    } else if (word == "data:" && !out.empty()) {
      file >> std::hex >> out.back().data;
    }
  }
  return out;
}

}  // namespace

ServerWait::ServerWait(const FuseDevice& device, pid_t tid) : device_(device), tid_(tid) {
  std::ifstream file("/proc/" + std::to_string(tid) + "/syscall");
  long nr = -1;
  Arguments arguments{};
  // "running" is no number.
  if (!(file >> std::dec >> nr)) return;
  for (uint64_t& argument : arguments) file >> std::hex >> argument;
  if (file) look(nr, arguments);
}

ServerWait::ServerWait(const FuseDevice& device, pid_t tid, const Registers& regs)
    : device_(device), tid_(tid) {
  look(static_cast<long>(regs.orig_rax),
       {regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9});
}

void ServerWait::look(long nr, const Arguments& arguments) {
  switch (nr) {
    case SYS_read:
    case SYS_readv:
      return look_at_read(arguments);
    case SYS_poll:
    case SYS_ppoll:
      return look_at_poll(arguments);
    case SYS_select:
    case SYS_pselect6:
      return look_at_select(arguments);
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
      return look_at_epoll(arguments);
    case SYS_restart_syscall:
      // Of what, nobody tells.
      lost_ = device_.is_held(tid_);
      return;
    default:
      return;
  }
}

int ServerWait::error_of(int fd) const {
  return fd < 0 ? 0 : device_.read_error(in_proc(tid_, "fd", fd));
}

void ServerWait::look_at_read(const Arguments& arguments) {
  const int error = error_of(static_cast<int>(arguments[0]));
  if (error != 0) answer_ = -error;
}

void ServerWait::look_at_poll(const Arguments& arguments) {
  constexpr uint64_t kMost = 1 << 16;
  std::vector<pollfd> all(std::min(arguments[1], kMost));
  const size_t size = all.size() * sizeof(pollfd);
  if (all.empty() || !ProcessMemory(tid_).read(arguments[0], all.data(), size).ok()) return;
  long count = 0;
  for (pollfd& one : all) {
    one.revents = error_of(one.fd) != 0 ? POLLERR : 0;
    count += one.revents != 0 ? 1 : 0;
  }
  if (count == 0) return;
  answer_ = count;
  put(arguments[0], {reinterpret_cast<const char*>(all.data()), size});
}

/// What has an error can be read, and written. fs/select.c, POLLIN_SET
void ServerWait::look_at_select(const Arguments& arguments) {
  const int end = std::min<int>(static_cast<int>(arguments[0]), FD_SETSIZE);
  const size_t words = (static_cast<size_t>(std::max(end, 0)) + 63) / 64;
  std::array<fd_set, 3> shown{};
  long count = 0;
  for (size_t i = 0; i < 3; ++i) {
    fd_set wanted{};
    if (arguments[i + 1] == 0) continue;
    if (!ProcessMemory(tid_).read(arguments[i + 1], &wanted, words * 8).ok()) return;
    for (int fd = 0; fd < end && i < 2; ++fd) {
      if (!FD_ISSET(fd, &wanted) || error_of(fd) == 0) continue;
      FD_SET(fd, &shown[i]);
      ++count;
    }
  }
  if (count == 0) return;
  answer_ = count;
  for (size_t i = 0; i < 3; ++i) {
    if (arguments[i + 1] != 0) put(arguments[i + 1], bytes_of(shown[i]).substr(0, words * 8));
  }
}

void ServerWait::look_at_epoll(const Arguments& arguments) {
  std::string events;
  long count = 0;
  const auto most = static_cast<int>(arguments[2]);
  for (const Watched& one : watched_by(tid_, static_cast<int>(arguments[0]))) {
    if (count >= most || error_of(one.fd) == 0) continue;
    epoll_event event{};
    event.events = EPOLLERR;
    event.data.u64 = one.data;
    events += bytes_of(event);
    ++count;
  }
  if (count == 0) return;
  answer_ = count;
  put(arguments[1], std::move(events));
}

Result<void> ServerWait::write() const {
  for (const auto& [at, bytes] : writes_) {
    TRY(ProcessMemory(tid_).write(at, bytes.data(), bytes.size()));
  }
  return {};
}

}  // namespace viewsh
