#include "affinity.h"

#include <sys/time.h>

#include <vector>

#include "base/clock.h"

namespace viewsh {

CpuFollower::CpuFollower(Session* session) : session_(session) {
  usable_ = sched_getaffinity(0, sizeof own_mask_, &own_mask_) == 0 && CPU_COUNT(&own_mask_) > 1;
}

CpuFollower::~CpuFollower() {
  set_timer(false);
  stay(false);
}

void CpuFollower::set_timer(bool on) {
  itimerval timer{};
  if (on) timer.it_interval.tv_usec = timer.it_value.tv_usec = kIdleNs / 1000;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

/// Binds the engine to the processor that it runs on now, or gives it all of them back. Where the
/// system refuses, everything only goes on slower.
void CpuFollower::stay(bool here) {
  if (here == staying_) return;
  staying_ = here;
  if (!here) {
    (void)sched_setaffinity(0, sizeof own_mask_, &own_mask_);
    return;
  }
  cpu_ = sched_getcpu();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu_), &one);
  (void)sched_setaffinity(0, sizeof one, &one);
}

void CpuFollower::on_stop(Task& task) {
  if (!usable_) return;
  int64_t now = monotonic_ns();
  if (last_tid_ != task.tid && now - last_stop_ns_ < kAloneGapNs) {
    several_until_ns_ = now + 2 * kAloneGapNs;
  }
  last_tid_ = task.tid;
  last_stop_ns_ = now;
  int64_t limit = now < several_until_ns_ ? kBusyGapNs : kAloneGapNs;
  bool quick = now - task.pace.last_stop_ns < limit;
  task.pace.last_stop_ns = now;
  if (task.pace.bound) return;
  task.pace.quick_stops = quick ? task.pace.quick_stops + 1 : 0;
  if (task.pace.quick_stops >= kBusyStops) bind(task);
}

void CpuFollower::bind(Task& task) {
  task.pace.quick_stops = 0;
  if (sched_getaffinity(task.tid, sizeof task.pace.mask, &task.pace.mask) < 0) return;
  if (bound_.empty()) {
    stay(true);
    set_timer(true);
  }
  if (!CPU_ISSET(static_cast<size_t>(cpu_), &task.pace.mask)) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<size_t>(cpu_), &one);
  if (sched_setaffinity(task.tid, sizeof one, &one) < 0) return;
  task.pace.bound = true;
  bound_.insert(task.tid);
}

void CpuFollower::let_go(Task& task) {
  if (!task.pace.bound) return;
  // ESRCH: it is gone.
  (void)sched_setaffinity(task.tid, sizeof task.pace.mask, &task.pace.mask);
  task.pace.bound = false;
  task.pace.was_bound = true;
  task.pace.quick_stops = 0;
  bound_.erase(task.tid);
}

void CpuFollower::on_clone(Task& maker, Task& made) {
  // Who makes threads wants to do several things at once. One that stops often is bound again soon.
  if (made.tgid == maker.tgid) let_go(maker);
  if (!maker.pace.bound) {
    // Let go in the middle of its fork: the copy may have the one processor still.
    cpu_set_t now;
    if (maker.pace.was_bound && sched_getaffinity(made.tid, sizeof now, &now) == 0 &&
        CPU_COUNT(&now) == 1 && !CPU_EQUAL(&now, &maker.pace.mask)) {
      (void)sched_setaffinity(made.tid, sizeof maker.pace.mask, &maker.pace.mask);
    }
    return;
  }
  made.pace = maker.pace;
  made.pace.last_stop_ns = monotonic_ns();
  bound_.insert(made.tid);
}

void CpuFollower::on_renamed(pid_t from, pid_t to) {
  if (bound_.erase(from) != 0) bound_.insert(to);
}

void CpuFollower::tick() {
  int64_t now = monotonic_ns();
  std::vector<pid_t> idle;
  for (pid_t tid : bound_) {
    Task* task = session_->task(tid);
    if (task != nullptr && now - task->pace.last_stop_ns > kIdleNs) idle.push_back(tid);
  }
  for (pid_t tid : idle) let_go(*session_->task(tid));
  if (bound_.empty()) {
    set_timer(false);
    stay(false);
  }
}

}  // namespace viewsh
