#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <set>
#include <utility>

#include "base/clock.h"
#include "job_control.h"
#include "launch.h"
#include "syscalls/fuse_device.h"
#include "tracer.h"

namespace viewsh {

namespace {

volatile std::sig_atomic_t pending_signal = 0;
volatile std::sig_atomic_t pending_tick = 0;
volatile std::sig_atomic_t pending_notice = 0;

void note_signal(int signal) {
  if (signal == SIGRTMIN) {
    pending_notice = 1;
    return;
  }
  if (signal == SIGALRM) {
    pending_tick = 1;
    return;
  }
  pending_signal = signal;
  // waitpid(2) may not be waiting yet: come again until it is seen. tick() ends that.
  int saved = errno;
  itimerval again{{0, 4000}, {0, 4000}};
  setitimer(ITIMER_REAL, &again, nullptr);
  errno = saved;
}

/// Would the task, untraced, never have noticed this signal? signal(7)
bool is_ignored(pid_t tid, int signal) {
  std::ifstream status("/proc/" + std::to_string(tid) + "/status");
  std::string line;
  uint64_t bit = uint64_t{1} << (signal - 1);
  bool by_default =
      signal == SIGCHLD || signal == SIGWINCH || signal == SIGURG || signal == SIGCONT;
  while (std::getline(status, line)) {
    if (line.starts_with("SigIgn:")) {
      if ((std::stoull(line.substr(8), nullptr, 16) & bit) != 0) return true;
    } else if (line.starts_with("SigCgt:")) {
      return by_default && (std::stoull(line.substr(8), nullptr, 16) & bit) == 0;
    }
  }
  return false;
}

/// Calls that any signal ends with EINTR, whether a handler runs or not.
bool ends_by_any_signal(long nr) {
  switch (nr) {
    case SYS_rt_sigtimedwait:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_io_getevents:
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvmmsg:
    case SYS_sendmmsg:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_connect:
      return true;
    default:
      return false;
  }
}

/// How long a wait may last; nullopt: without end.
std::optional<int64_t> timeout_ns(const Registers& regs, pid_t tid) {
  long nr = static_cast<long>(regs.orig_rax);
  if (nr == SYS_epoll_wait || nr == SYS_epoll_pwait) {
    auto milliseconds = static_cast<int>(regs.r10);
    if (milliseconds < 0) return std::nullopt;
    return int64_t{milliseconds} * 1'000'000;
  }
  uint64_t address = 0;
  if (nr == SYS_rt_sigtimedwait) address = regs.rdx;
  if (nr == SYS_epoll_pwait2 || nr == SYS_semtimedop) address = regs.r10;
  if (address == 0) return std::nullopt;
  Result<timespec> time = ProcessMemory(tid).get<timespec>(address);
  if (!time.ok()) return std::nullopt;
  return time->tv_sec * 1'000'000'000 + time->tv_nsec;
}

/// What the call says when its time is over.
long timeout_result(long nr) {
  return nr == SYS_rt_sigtimedwait || nr == SYS_semtimedop ? -EAGAIN : 0;
}

/// A call that an ignored signal ended is made again, or has timed out meanwhile.
void wait_again(Task& task, Registers& regs) {
  if (std::optional<int64_t> timeout = timeout_ns(regs, task.tid)) {
    int64_t now = monotonic_ns();
    if (!task.wait || task.wait->stack != regs.rsp)
      task.wait = Task::Wait{regs.rsp, now + *timeout};
    if (now >= task.wait->deadline_ns) {
      regs.rax = static_cast<unsigned long long>(timeout_result(static_cast<long>(regs.orig_rax)));
      task.wait.reset();
      return;
    }
  }
  regs.rax = regs.orig_rax;
  regs.orig_rax = static_cast<unsigned long long>(-1);
  regs.rip -= 2;
}

}  // namespace

bool Tracer::signal_is_pending() { return pending_signal != 0; }

void Tracer::catch_signals() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  for (int signal : {SIGTERM, SIGHUP, SIGALRM, SIGRTMIN}) sigaction(signal, &action, nullptr);
}

/// What ends the engine would end the view in mid-air: COMMAND gets the signal, and the view ends
/// when its processes do.
void Tracer::forward_signal() {
  if (pending_tick != 0) {
    pending_tick = 0;
    follower_.tick();
  }
  if (pending_notice != 0) {
    pending_notice = 0;
    tell_waiting();
  }
  int signal = pending_signal;
  pending_signal = 0;
  if (signal == 0) return;
  if (!leader_gone_) {
    kill(leader_, signal);
    return;
  }
  // Ctrl-C: what doesn't end when it is told to is ended by the second one.
  if (signal == SIGINT) signal = interrupts_++ == 0 ? SIGTERM : SIGKILL;
  for (const auto& [tid, task] : session_.tasks) kill(task->tgid, signal);
}

/// COMMAND has ended. What it leaves behind often ends with it: who waits in front of a terminal is
/// told after a moment only. The timer goes on until then, since waitpid(2) may not be waiting yet.
void Tracer::expect_the_rest() {
  const FuseDevice* fuse = fuse_device_of(session_);
  if (kill_on_exit_ || !in_foreground() || (fuse != nullptr && fuse->gives())) return;
  sigevent how{};
  how.sigev_notify = SIGEV_SIGNAL;
  how.sigev_signo = SIGRTMIN;
  if (timer_create(CLOCK_MONOTONIC, &how, &notice_) < 0) return tell_waiting();
  constexpr timespec kMoment{0, 400'000'000};
  itimerspec when{kMoment, kMoment};
  timer_settime(notice_, 0, &when, nullptr);
}

void Tracer::tell_waiting() {
  if (waiting_told_) return;
  waiting_told_ = true;
  itimerspec never{};
  timer_settime(notice_, 0, &never, nullptr);
  std::set<pid_t> processes;
  for (const auto& [tid, task] : session_.tasks) processes.insert(task->tgid);
  if (processes.empty() || !in_foreground()) return;
  take_terminal_signals(note_signal);
  bool one = processes.size() == 1;
  fprintf(
      stderr,
      "viewsh: waiting for %zu process%s of the view; Ctrl-C ends %s, Ctrl-Z and bg let %s go on\n",
      processes.size(), one ? "" : "es", one ? "it" : "them", one ? "it" : "them");
}

/// SIGSYS of a filter of the program's own, for a call that isn't what the program made: told as if
/// it were. True: it was for a call of ours alone, of which the program hears nothing.
bool Tracer::explain_sigsys(Task& task, Stopped& stopped) {
  std::optional<PendingCall> refused = std::exchange(task.refused, std::nullopt);
  std::optional<siginfo_t> info = stopped.signal_info();
  if (!info || info->si_code != kTrappedByFilter || !stopped.load()) return false;
  if (!refused) {
    bool stub = task.pending && task.pending->stub;
    auto from = reinterpret_cast<uint64_t>(info->si_call_addr);
    if (!stub || from != task.pending->slot + StubArena::kEntryAt) return false;
    refused = task.pending;
  }
  if (refused->own) return true;
  settle(task, stopped);
  const Registers& original = refused->original;
  stopped.regs().rax = stopped.regs().orig_rax = original.orig_rax;
  stopped.touch();
  info->si_syscall = static_cast<int>(original.orig_rax);
  info->si_call_addr =
      reinterpret_cast<void*>(original.rip);  // NOLINT: an address of another process
  stopped.set_signal_info(*info);
  return false;
}

/// A fault in code of ours in the process, which it is led out of. One that was sent is its own.
bool Tracer::explain_fault(Task& task, Stopped& stopped) {
  const std::optional<siginfo_t> info = stopped.signal_info();
  if (!info || info->si_code <= 0 || !stopped.load()) return false;
  const bool ours =
      LookupLane::recover(task, &stopped.regs()) || FstatLane::recover(task, &stopped.regs());
  if (ours) stopped.touch();
  return ours;
}

void Tracer::on_signal(Task& task, Stopped stopped, int signal) {
  if (signal == SIGSYS && explain_sigsys(task, stopped)) signal = 0;
  if ((signal == SIGSEGV || signal == SIGBUS) && explain_fault(task, stopped)) signal = 0;
  if (report_->tracing()) report_->trace_signal(task.tid, signal, stopped.signal_info());
  settle(task, stopped);
  // A traced task is woken by signals that it ignores; the call that they ended is made again.
  constexpr long kInterrupted = -EINTR;
  if (stopped.load() && static_cast<long>(stopped.regs().rax) == kInterrupted &&
      ends_by_any_signal(static_cast<long>(stopped.regs().orig_rax)) &&
      is_ignored(task.tid, signal)) {
    wait_again(task, stopped.regs());
    stopped.touch();
  }
  std::move(stopped).resume(Resume::kContinue, signal);
}

void Tracer::on_group_stop(Task& task, Stopped stopped, int signal) {
  settle(task, stopped);
  bool command = task.tid == leader_;
  std::move(stopped).resume(Resume::kListen, 0);
  if (command) stop_with(leader_, signal);
}

}  // namespace viewsh
