#include "tracee/event.h"

#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <deque>
#include <utility>

namespace viewsh {

namespace {

Event::Kind kind_of_event(int event, int signal) {
  switch (event) {
    case PTRACE_EVENT_SECCOMP:
      return Event::Kind::kCall;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE:
      return Event::Kind::kClone;
    case PTRACE_EVENT_EXEC:
      return Event::Kind::kExec;
    case PTRACE_EVENT_STOP:
      return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU
                 ? Event::Kind::kGroupStop
                 : Event::Kind::kStop;
    default:
      return Event::Kind::kStop;
  }
}

}  // namespace

namespace {

/// waitpid(2) tells of the children in the order of a list, not of their stops: tasks that stop
/// again quickly would keep others waiting for ever. So all that have something to tell are asked
/// in turn. `how`: WNOHANG, or 0.
pid_t wait_in_turn(bool fair, int how, int* status) {
  static std::deque<std::pair<pid_t, int>> waiting;
  if (waiting.empty()) {
    pid_t first = waitpid(-1, status, __WALL | how);
    if (!fair || first <= 0) return first;
    int next_status = 0;
    for (pid_t next = 0; (next = waitpid(-1, &next_status, __WALL | WNOHANG)) > 0;) {
      waiting.emplace_back(next, next_status);
    }
    return first;
  }
  pid_t next = waiting.front().first;
  *status = waiting.front().second;
  waiting.pop_front();
  return next;
}

Event event_of(bool fair, int how) {
  Event event;
  int status = 0;
  pid_t tid = wait_in_turn(fair, how, &status);
  if (tid == 0) {
    event.kind = Event::Kind::kIdle;
    return event;
  }
  if (tid < 0) {
    event.kind = errno == EINTR ? Event::Kind::kInterrupted : Event::Kind::kNone;
    return event;
  }
  event.tid = tid;
  event.status = status;
  if (!WIFSTOPPED(status)) {
    event.kind = Event::Kind::kExited;
    return event;
  }
  event.signal = WSTOPSIG(status);
  int extended = status >> 16;
  if (extended != 0) {
    event.kind = kind_of_event(extended, event.signal);
  } else if (event.signal == (SIGTRAP | 0x80)) {
    event.kind = Event::Kind::kCallExit;
  } else {
    event.kind = Event::Kind::kSignal;
  }
  return event;
}

}  // namespace

Event wait_event(bool fair) { return event_of(fair, 0); }

Event try_event(bool fair) { return event_of(fair, WNOHANG); }

bool inside_view() { return syscall(SYS_ptrace, kAskForView, 0, nullptr, nullptr) == 0; }

bool seize(pid_t tid) {
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACESECCOMP |
                 PTRACE_O_EXITKILL;
  return ptrace(PTRACE_SEIZE, tid, nullptr, options) == 0;
}

}  // namespace viewsh
