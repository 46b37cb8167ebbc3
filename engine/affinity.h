#pragma once

#include <sched.h>

#include <cstdint>
#include <unordered_set>

#include "syscalls/session.h"

namespace viewsh {

/// Keeps busy callers on the engine's processor. A stop that is handed over between two processors,
/// one of them idle, costs several times what it costs on one; so a task whose calls are trapped in
/// quick succession is bound to the processor that the engine runs on, and let go as soon as it
/// computes. Programs see the affinity that they were given: sched_getaffinity(2) lets go first.
class CpuFollower {
 public:
  /// Stops closer than this are "quick succession": of the only task that stops lately, and of one
  /// among several, where a shared processor costs more.
  static constexpr int64_t kAloneGapNs = 1'000'000;
  static constexpr int64_t kBusyGapNs = 150'000;
  static constexpr int kBusyStops = 3;
  static constexpr int64_t kIdleNs =
      4'000'000;  ///< a bound task without a stop for so long computes

  explicit CpuFollower(Session* session);
  ~CpuFollower();
  void on_stop(Task& task);
  /// A new process inherits its maker's affinity, bound or not; a new thread lets both go.
  void on_clone(Task& maker, Task& made);
  void on_gone(const Task& task) { bound_.erase(task.tid); }
  /// The tid of a bound task changed. execve(2) of a thread that is not the leader.
  void on_renamed(pid_t from, pid_t to);
  /// The timer went off: lets go of who computes.
  void tick();
  void let_go(Task& task);

 private:
  void bind(Task& task);
  void stay(bool here);
  void set_timer(bool on);

  Session* session_;
  cpu_set_t own_mask_{};
  bool usable_ = false;
  bool staying_ = false;
  int cpu_ = -1;
  pid_t last_tid_ = 0;
  int64_t last_stop_ns_ = 0;
  int64_t several_until_ns_ = 0;
  std::unordered_set<pid_t> bound_;
};

}  // namespace viewsh
