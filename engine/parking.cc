#include "parking.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/clock.h"

namespace viewsh {

namespace {

/// How often parked tasks are looked at for signals: nothing tells of one to a stopped task.
constexpr int kMomentMs = 20;
constexpr int64_t kMomentNs = kMomentMs * 1'000'000 / 2;

enum class Pending { kNothing, kHandled, kFatal };

/// Has the task a signal that isn't blocked and that it doesn't ignore, and would die of?
/// proc_pid_status(5), signal(7)
Pending pending_of(pid_t tid) {
  std::ifstream status("/proc/" + std::to_string(tid) + "/status");
  uint64_t pending = 0;
  uint64_t unheard = 0;
  uint64_t caught = 0;
  std::string line;
  while (std::getline(status, line)) {
    const auto value = [&] { return std::stoull(line.substr(7), nullptr, 16); };
    if (line.starts_with("SigPnd:") || line.starts_with("ShdPnd:")) pending |= value();
    if (line.starts_with("SigBlk:") || line.starts_with("SigIgn:")) unheard |= value();
    if (line.starts_with("SigCgt:")) caught = value();
  }
  constexpr auto bits = [](std::initializer_list<int> signals) {
    uint64_t out = 0;
    for (const int signal : signals) out |= uint64_t{1} << (signal - 1);
    return out;
  };
  // Ignored by default, and those that only stop.
  const uint64_t harmless =
      bits({SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU});
  pending &= ~unheard;
  if ((pending & ~caught & ~harmless) != 0) return Pending::kFatal;
  return (pending & caught) != 0 ? Pending::kHandled : Pending::kNothing;
}

}  // namespace

Parking::~Parking() { CHECK(parked_.empty(), "calls wait at the end"); }

bool Parking::parked(pid_t tid) const {
  return std::any_of(parked_.begin(), parked_.end(), [&](const Parked& p) { return p.tid == tid; });
}

Result<void> Parking::wait(const void* what) {
  CHECK(running_ != nullptr && what != nullptr, "nothing waits");
  Parked& self = *running_;
  if (self.interrupted) return Errno(EINTR);
  self.what = what;
  Fiber::yield();
  if (self.interrupted) return Errno(EINTR);
  if (std::exchange(self.disturbed, false)) return Errno(EAGAIN);
  return {};
}

Result<void> Parking::pause() {
  const Result<void> waited = wait(&paused_);
  return !waited && waited.error() == EINTR ? waited : Result<void>();
}

bool Parking::somebody_paused() const {
  return std::any_of(parked_.begin(), parked_.end(),
                     [this](const Parked& p) { return p.what == &paused_; });
}

void Parking::wake(const void* what) {
  for (Parked& parked : parked_) {
    if (parked.what == what) parked.what = nullptr;
  }
}

void Parking::resume(Parked& parked) {
  parked.what = nullptr;
  if (before_) before_();
  running_ = &parked;
  parked.fiber.resume();
  running_ = nullptr;
}

void Parking::start(pid_t tid, std::function<void()> work) {
  Parked& parked = parked_.emplace_back(std::move(work));
  parked.tid = tid;
  const auto self = std::prev(parked_.end());
  resume(parked);
  if (parked.fiber.done()) parked_.erase(self);
}

void Parking::run_ready() {
  for (auto it = parked_.begin(); it != parked_.end();) {
    if (it->what != nullptr && it->what != &paused_) {
      ++it;
      continue;
    }
    resume(*it);
    it = it->fiber.done() ? parked_.erase(it) : std::next(it);
  }
}

void Parking::interrupt(pid_t tid) {
  for (Parked& parked : parked_) {
    if (parked.tid != tid || &parked == running_) continue;
    parked.interrupted = true;
    parked.what = nullptr;
  }
}

void Parking::interrupt_all() {
  for (Parked& parked : parked_) {
    parked.interrupted = true;
    parked.what = nullptr;
  }
  run_ready();
}

void Parking::interrupt_signalled() {
  for (Parked& parked : parked_) {
    if (parked.what == nullptr) continue;
    const Pending pending = pending_of(parked.tid);
    if (pending == Pending::kFatal) interrupt(parked.tid);
    if (pending != Pending::kHandled || parked.told) continue;
    parked.told = parked.disturbed = true;
    parked.what = nullptr;
  }
}

Result<void> Parking::control(int operation, int fd, bool write) const {
  epoll_event event{};
  event.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.fd = fd;
  return from_libc(epoll_ctl(poll_.get(), operation, fd, &event));
}

Result<void> Parking::watch(int fd, std::function<void()> ready) {
  if (!poll_) poll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!poll_) return Errno::last();
  TRY(control(EPOLL_CTL_ADD, fd, false));
  watches_[fd] = std::make_shared<Watch>(Watch{std::move(ready), false});
  return {};
}

void Parking::want_write(int fd, bool want) {
  const auto it = watches_.find(fd);
  if (it == watches_.end() || it->second->write == want) return;
  it->second->write = want;
  CHECK(control(EPOLL_CTL_MOD, fd, want).ok(), "a descriptor that was closed");
}

void Parking::unwatch(int fd) {
  if (watches_.erase(fd) != 0) (void)control(EPOLL_CTL_DEL, fd, false);
}

bool Parking::sleep(int child_fd, int most_ms) {
  // Signals of the engine's own may end each sleep before its time.
  if (monotonic_ns() - last_look_ > kMomentNs) {
    last_look_ = monotonic_ns();
    interrupt_signalled();
  }
  if (moment_ && monotonic_ns() - last_moment_ > kMomentNs) {
    last_moment_ = monotonic_ns();
    if (!moment_()) moment_ = nullptr;
  }
  pollfd fds[2] = {{.fd = child_fd, .events = POLLIN, .revents = 0},
                   {.fd = poll_.get(), .events = POLLIN, .revents = 0}};
  const int until = parked_.empty() && !moment_ ? most_ms : kMomentMs;
  const int ready = poll(fds, 2, somebody_paused() ? 0 : until);
  if (ready <= 0) return ready == 0;
  if ((fds[0].revents & POLLIN) != 0) {
    signalfd_siginfo child;
    while (read(child_fd, &child, sizeof child) > 0) {
    }
  }
  if ((fds[1].revents & POLLIN) == 0) return true;
  std::array<epoll_event, 16> events{};
  const int count = epoll_wait(poll_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    const auto it = watches_.find(events[static_cast<size_t>(i)].data.fd);
    if (it == watches_.end()) continue;
    const std::shared_ptr<Watch> watch = it->second;  // it may take itself away
    watch->ready();
  }
  return true;
}

}  // namespace viewsh
