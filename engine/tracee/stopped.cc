#include "tracee/stopped.h"

#include <sys/ptrace.h>

namespace viewsh {

bool Stopped::load() {
  if (regs_) return true;
  Registers regs{};
  if (ptrace(PTRACE_GETREGS, tid_, nullptr, &regs) < 0) return false;
  regs_ = regs;
  return true;
}

Result<unsigned long> Stopped::event_message() const {
  unsigned long message = 0;
  if (ptrace(PTRACE_GETEVENTMSG, tid_, nullptr, &message) < 0) return Errno::last();
  return message;
}

std::optional<siginfo_t> Stopped::signal_info() const {
  siginfo_t info{};
  if (ptrace(PTRACE_GETSIGINFO, tid_, nullptr, &info) < 0) return std::nullopt;
  return info;
}

void Stopped::set_signal_info(const siginfo_t& info) {
  siginfo_t copy = info;
  // ESRCH: killed meanwhile.
  ptrace(PTRACE_SETSIGINFO, tid_, nullptr, &copy);
}

bool Stopped::trapped_by_filter() const {
  constexpr int kMost = 32;
  siginfo_t queue[kMost];
  __ptrace_peeksiginfo_args which{0, 0, kMost};
  long n = ptrace(PTRACE_PEEKSIGINFO, tid_, &which, queue);
  for (long i = 0; i < n; ++i) {
    if (queue[i].si_signo == SIGSYS && queue[i].si_code == kTrappedByFilter) return true;
  }
  return false;
}

void Stopped::resume(Resume how, int signal) && {
  if (dirty_ && regs_) ptrace(PTRACE_SETREGS, tid_, nullptr, &*regs_);
  // The only failure is ESRCH: killed meanwhile; waitpid(2) tells of it.
  switch (how) {
    case Resume::kContinue:
      ptrace(PTRACE_CONT, tid_, nullptr, signal);
      break;
    case Resume::kToExit:
      ptrace(PTRACE_SYSCALL, tid_, nullptr, signal);
      break;
    case Resume::kListen:
      ptrace(PTRACE_LISTEN, tid_, nullptr, nullptr);
      break;
  }
}

}  // namespace viewsh
