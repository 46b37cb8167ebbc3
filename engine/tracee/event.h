#pragma once

#include <sys/types.h>

namespace viewsh {

/// What waitpid(2) told of a task. ptrace(2) under PTRACE_SEIZE.
struct Event {
  enum class Kind {
    kNone,         ///< no task left (ECHILD)
    kInterrupted,  ///< a signal to the engine itself
    kIdle,         ///< no task has anything to tell now; only try_event() says so
    kCall,         ///< seccomp stop at the entry of a trapped call
    kCallExit,     ///< the end of a call that was resumed by kToExit
    kSignal,       ///< about to be delivered: `signal`
    kGroupStop,    ///< `signal` is the stopping one
    kStop,         ///< PTRACE_EVENT_STOP: a new task's first stop, the end of a group-stop
    kClone,        ///< fork, vfork, clone: the parent's side
    kExec,
    kExited,  ///< `status` as waitpid's, the task is gone
  };
  Kind kind = Kind::kNone;
  pid_t tid = 0;
  int signal = 0;
  int status = 0;
};

/// Waits for the next event of any tracee or child. `fair`: in turn, where several tasks run.
Event wait_event(bool fair);
/// The same without waiting.
Event try_event(bool fair);

/// A request of ptrace(2) that no kernel knows: a view answers it with 0, a kernel with ESRCH or
/// EIO.
constexpr long kAskForView = 0x76777368;
/// Is this process in a view itself?
bool inside_view();

/// Makes a child of ours a tracee with all options. False: errno tells.
bool seize(pid_t tid);

}  // namespace viewsh
