#pragma once

#include <functional>

#include "viewsh/result.h"

namespace viewsh {

/// What a file system does whose answers come from a process of the view itself, or take long: the
/// call that asks stops in the middle, the engine goes on with other tasks, and the call is taken
/// up again when there is an answer. Given by Host; used by the engine's thread alone.
///
/// While a call waits, any other may be made of any object. Whoever keeps references to what other
/// calls can change looks again after wait().
class Suspension {
 public:
  virtual ~Suspension() = default;

  /// What runs is the call of a task, which can wait. Else (a view is being made or ended) nobody
  /// of the view would run meanwhile.
  virtual bool can_wait() const = 0;
  /// Stops the present call until wake() is called with the same `what`. EINTR: the task is gone or
  /// has a signal that ends it; the call should end, and what it does before that will not wait
  /// either. EAGAIN, once: it has a signal with a handler, and may wait on.
  virtual Result<void> wait(const void* what) = 0;
  /// All calls that wait for this go on, in the order in which they stopped, once what runs now has
  /// ended or waits itself.
  virtual void wake(const void* what) = 0;
  /// Stops the present call, which has more to do, until what others want just now was done. EINTR
  /// as by wait().
  virtual Result<void> pause() = 0;
  /// From now on calls pause(), though nothing is watched: can_wait() holds in those of tasks.
  virtual void expect_pauses() = 0;

  /// Calls `ready` whenever the descriptor can be read, or written while want_write() says so, or
  /// has an error; not as a part of any task's call, so it can't wait. ENOMEM, ENOSPC, EPERM (of
  /// regular files): epoll_ctl(2).
  virtual Result<void> watch(int fd, std::function<void()> ready) = 0;
  virtual void want_write(int fd, bool want) = 0;
  /// Before the descriptor is closed.
  virtual void unwatch(int fd) = 0;
};

}  // namespace viewsh
