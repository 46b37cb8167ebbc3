#include <sys/signalfd.h>

#include <csignal>

#include "base/check.h"
#include "tracer.h"

namespace viewsh {

/// Where calls may wait, tasks and descriptors are waited for together.
Event Tracer::next_event() {
  const bool fair = session_.tasks.size() > 2;
  if (!parking_.active()) return wait_event(fair);
  if (!children_) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    children_.reset(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    CHECK(children_, "no signalfd");
  }
  while (true) {
    parking_.run_ready();
    Event event = try_event(fair);
    if (event.kind != Event::Kind::kIdle) return event;
    if (signal_is_pending()) {
      event.kind = Event::Kind::kInterrupted;
      return event;
    }
    parking_.sleep(children_.get());
  }
}

void Tracer::handle(const Event& event) {
  if (!parking_.active()) return act_on(event);
  // Whoever waits in the name of a task that is gone, or is another program now.
  if (event.kind == Event::Kind::kExited || event.kind == Event::Kind::kExec) unpark(event.tid);
  parking_.start(event.tid, [this, event] { act_on(event); });
}

void Tracer::unpark(pid_t tid) {
  if (!parking_.parked(tid)) return;
  parking_.interrupt(tid);
  parking_.run_ready();
  CHECK(!parking_.parked(tid), "an interrupted call waits");
}

}  // namespace viewsh
