#include <sys/signalfd.h>

#include <algorithm>
#include <csignal>

#include "base/check.h"
#include "base/clock.h"
#include "job_control.h"
#include "syscalls/close.h"
#include "syscalls/mount_table.h"
#include "tracer.h"
#include "viewsh/close_listener.h"

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
    if (parking_.empty()) pinned_.clear();
    Event event = try_event(fair);
    if (event.kind != Event::Kind::kIdle) return event;
    if (nobody_is_left()) {
      event.kind = Event::Kind::kNone;
      return event;
    }
    if (signal_is_pending()) {
      event.kind = Event::Kind::kInterrupted;
      return event;
    }
    if (!parking_.sleep(children_.get(), write_back_served())) {
      event.kind = Event::Kind::kInterrupted;
      return event;
    }
  }
}

/// Work that goes on for nobody any more gets a moment: its server may hang, and be no process of
/// the view.
bool Tracer::nobody_is_left() {
  constexpr int64_t kMomentNs = 2'000'000'000;
  if (!session_.tasks.empty()) return false;
  // The engine's other children, the servers of a profile, aren't waited for.
  if (parking_.empty()) return true;
  if (give_up_ns_ == 0) give_up_ns_ = monotonic_ns() + kMomentNs;
  return monotonic_ns() >= give_up_ns_;
}

void Tracer::pin_view() {
  if (pinned_.empty() || pinned_.back() != session_.view) pinned_.push_back(session_.view);
}

void Tracer::handle(const Event& event) {
  if (!parking_.expects()) return act_on(event);
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

/// Each in a piece of work of its own: one whose server hangs keeps nobody waiting.
void Tracer::tell_closed_later() {
  for (const auto& hears : close_listeners(session_)) {
    parking_.later([hears] { hears->closed(""); });
  }
}

/// What was taken away while something in it was in use ends with the last user.
void Tracer::reap_mounts() {
  if (!session_.late.empty()) MountTable(session_).reap();
}

void Tracer::on_exited(const Event& event) {
  auto it = session_.tasks.find(event.tid);
  if (event.tid == leader_) {
    leader_gone_ = true;
    leader_status_ = event.status;
    take_terminal_back(leader_);
  }
  if (it == session_.tasks.end()) return;
  // What is cleaned up may wait, and the number be another task's by then.
  const std::unique_ptr<Task> gone = std::move(it->second);
  session_.tasks.erase(it);
  follower_.on_gone(*gone);
  report_->end(event.tid, std::nullopt);
  drop_kept(event.tid);
  abandon(*gone);
  const auto& left = session_.tasks;
  const bool last = std::none_of(left.begin(), left.end(),
                                 [&](const auto& one) { return one.second->tgid == gone->tgid; });
  if (last && gone->traces_closes) tell_closed_later();
  reap_mounts();
  if (event.tid == leader_ && kill_on_exit_) {
    for (const auto& [tid, task] : session_.tasks) kill(task->tgid, SIGKILL);
  } else if (event.tid == leader_ && !session_.tasks.empty()) {
    expect_the_rest();
  }
  end_servers_alone();
}

}  // namespace viewsh
