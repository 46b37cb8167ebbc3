// FUSE servers of the view: how they hear that they aren't needed any more.
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <algorithm>
#include <fstream>

#include "base/check.h"
#include "syscalls/fuse_device.h"
#include "syscalls/mount_table.h"
#include "tracer.h"

namespace viewsh {

namespace {

/// The code that a call ends with which a signal, or a stop, cut off. errno.h of the kernel
constexpr long kRestartSys = -512;

/// A call that a task is in, and its first argument. proc_pid_syscall(5)
struct InCall {
  long nr = -1;
  uint64_t first = 0;
};

InCall call_of(pid_t tid) {
  InCall call;
  std::ifstream file("/proc/" + std::to_string(tid) + "/syscall");
  // "running" is no number.
  if (!(file >> std::dec >> call.nr >> std::hex >> call.first)) call.nr = -1;
  return call;
}

bool is_read(long nr) { return nr == SYS_read || nr == SYS_readv; }

bool is_poll(long nr) {
  return nr == SYS_poll || nr == SYS_ppoll || nr == SYS_select || nr == SYS_pselect6 ||
         nr == SYS_epoll_wait || nr == SYS_epoll_pwait || nr == SYS_epoll_pwait2;
}

std::string link_of(pid_t tid, uint64_t fd) {
  return "/proc/" + std::to_string(tid) + "/fd/" + std::to_string(static_cast<int>(fd));
}

}  // namespace

/// Who reads gets ENODEV, as soon as he does; who waits in poll(2) gets an end of file instead.
bool Tracer::tell_servers(int round) {
  constexpr int kOften = 100;
  constexpr int kSeldom = 25;
  constexpr int kPatience = 10;
  if (round > kOften && round % kSeldom != 0) return true;
  FuseDevice* device = fuse_device_of(session_);
  if (device == nullptr || !device->has_ended()) return false;
  bool reads = false;
  bool polls = false;
  for (const auto& [tid, task] : session_.tasks) {
    const InCall call = call_of(tid);
    polls = polls || is_poll(call.nr);
    if (!is_read(call.nr) || !device->is_ended(link_of(tid, call.first))) continue;
    reads = true;
    // ESRCH: it has stopped already, or is gone.
    (void)ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  }
  if (!reads && polls && round > kPatience) device->hang_up();
  return true;
}

/// fuse_dev_read() of fs/fuse/dev.c
void Tracer::end_read(Stopped& stopped) {
  FuseDevice* device = parking_.active() ? fuse_device_of(session_) : nullptr;
  if (device == nullptr || !stopped.load()) return;
  Registers& regs = stopped.regs();
  const bool cut_off =
      static_cast<long>(regs.rax) == kRestartSys && is_read(static_cast<long>(regs.orig_rax));
  if (!cut_off || !device->is_ended(link_of(stopped.tid(), regs.rdi))) return;
  regs.rax = static_cast<unsigned long long>(-ENODEV);
  regs.orig_rax = static_cast<unsigned long long>(-1);
  stopped.touch();
}

/// Only FUSE servers are left, and what they started: they wait for requests that nobody makes any
/// more, and end when their mounts go.
void Tracer::end_servers_alone() {
  if (!leader_gone_ || fuse_device_of(session_) == nullptr || session_.tasks.empty()) return;
  for (const auto& [tid, task] : session_.tasks) {
    if (is_of_server(task->family.get())) continue;
    // It may have got the descriptor from fusermount(1).
    if (!fuse_device_of(session_)->is_held(tid)) return;
    task->family->fuse_server = true;
  }
  const Result<void> done = MountTable(session_).remove_served();
  if (!done.ok()) complain("a FUSE server at the end: " + done.error().message());
}

}  // namespace viewsh
