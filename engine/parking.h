#pragma once

#include <sys/types.h>

#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/fiber.h"
#include "viewsh/suspension.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// Work of the event loop that can wait for other work of it. Each piece is for one task; nothing
/// costs anything until a file system watches a descriptor.
class Parking final : public Suspension {
 public:
  Parking() = default;
  ~Parking() override;

  bool can_wait() const override { return Fiber::current() != nullptr; }
  Result<void> wait(const void* what) override;
  void wake(const void* what) override;
  Result<void> pause() override;
  void expect_pauses() override { expected_ = true; }
  Result<void> watch(int fd, std::function<void()> ready) override;
  void want_write(int fd, bool want) override;
  void unwatch(int fd) override;

  /// Somebody waits, or is waited for: events go through sleep().
  bool active() const { return !watches_.empty() || !parked_.empty() || moment_; }
  /// Somebody may have to wait: they go through start().
  bool expects() const { return expected_ || active(); }
  bool parked(pid_t tid) const;
  bool empty() const { return parked_.empty(); }

  /// Calls `work` now and every moment while it says true.
  void each_moment(std::function<bool()> work) { moment_ = std::move(work); }

  /// Called before anything runs, or goes on.
  void before_each(std::function<void()> act) { before_ = std::move(act); }

  /// Does the work, for a task, until it ends or waits.
  void start(pid_t tid, std::function<void()> work);
  /// Work of no task's, which begins when what runs now has ended or waits.
  void later(std::function<void()> work) { parked_.emplace_back(std::move(work)); }
  /// Goes on with whatever was woken.
  void run_ready();
  /// What is done for a task ends as soon as it can: none of it waits any more.
  void interrupt(pid_t tid);
  /// Everything that waits ends now.
  void interrupt_all();
  /// Those whose task has a signal that it would hear of.
  void interrupt_signalled();

  /// Sleeps until a watched descriptor or `child_fd` has something, a signal came, or for a moment
  /// where somebody waits, and calls whoever watches. `child_fd`: a signalfd(2) of SIGCHLD.
  /// `most_ms`: -1, for as long as nothing happens.
  /// False: a signal of the engine's own.
  bool sleep(int child_fd, int most_ms = -1);

 private:
  struct Parked {
    explicit Parked(std::function<void()> work) : fiber(std::move(work)) {}
    Fiber fiber;
    pid_t tid = 0;
    const void* what = nullptr;  ///< what it waits for; null, or `paused_`: it can go on
    bool interrupted = false;
    bool disturbed = false;  ///< its task has a signal with a handler, and wait() is to say so
    bool told = false;       ///< and has
  };
  void resume(Parked& parked);
  bool somebody_paused() const;
  struct Watch {
    std::function<void()> ready;
    bool write = false;
  };
  Result<void> control(int operation, int fd, bool write) const;

  std::list<Parked> parked_;
  Parked* running_ = nullptr;
  bool expected_ = false;
  const char paused_ = 0;  ///< its address
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  UniqueFd poll_;
  std::function<bool()> moment_;
  int64_t last_moment_ = 0;
  int64_t last_look_ = 0;
  std::function<void()> before_;
};

}  // namespace viewsh
