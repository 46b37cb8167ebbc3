#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <csignal>
#include <optional>

#include "viewsh/result.h"

namespace viewsh {

using Registers = user_regs_struct;

/// si_code of a SIGSYS by SECCOMP_RET_TRAP (SYS_SECCOMP of the kernel, which not every libc names).
inline constexpr int kTrappedByFilter = 1;

enum class Resume {
  kContinue,  ///< until the next trapped call or signal
  kToExit,    ///< also stop when the present call ends
  kListen,    ///< stay in group-stop, hear of its end. ptrace(2), PTRACE_LISTEN
};

/// A tracee that is stopped. resume() uses the value up, so that ptrace on a running task does not
/// compile. A tracee that was killed meanwhile makes every operation a no-op: its exit is reported
/// as an event of its own.
class Stopped {
 public:
  explicit Stopped(pid_t tid) : tid_(tid) {}
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  Stopped(Stopped&&) = default;
  Stopped& operator=(Stopped&&) = default;

  pid_t tid() const { return tid_; }
  /// The registers, read once. False: the tracee is gone.
  bool load();
  /// Valid after load() gave true; changes are written by resume() if touch() was called.
  Registers& regs() { return *regs_; }
  void touch() { dirty_ = true; }
  Result<unsigned long> event_message() const;
  /// In a signal stop: the signal that is about to be delivered.
  std::optional<siginfo_t> signal_info() const;
  void set_signal_info(const siginfo_t& info);
  /// A SIGSYS of SECCOMP_RET_TRAP waits to be delivered to this thread.
  bool trapped_by_filter() const;
  void resume(Resume how, int signal) &&;

 private:
  pid_t tid_;
  std::optional<Registers> regs_;
  bool dirty_ = false;
};

/// The ABI of a system call on x86-64: number in orig_rax, arguments in rdi rsi rdx r10 r8 r9.
inline unsigned long long& argument_register(Registers& regs, unsigned index) {
  switch (index) {
    case 0:
      return regs.rdi;
    case 1:
      return regs.rsi;
    case 2:
      return regs.rdx;
    case 3:
      return regs.r10;
    case 4:
      return regs.r8;
    default:
      return regs.r9;
  }
}

}  // namespace viewsh
