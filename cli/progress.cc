#include "cli/progress.h"

#include <unistd.h>

#include <cstdio>

#include "cli/text.h"

namespace viewsh {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr long kAgain = 200'000'000;  ///< nanoseconds between two lines
volatile sig_atomic_t came = 0;

void remember(int signal) { came = signal; }

timespec after(long seconds, long nanoseconds) {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += seconds;
  t.tv_nsec += nanoseconds;
  if (t.tv_nsec >= 1'000'000'000) ++t.tv_sec, t.tv_nsec -= 1'000'000'000;
  return t;
}

bool passed(const timespec& when) {
  const timespec now = after(0, 0);
  return now.tv_sec != when.tv_sec ? now.tv_sec > when.tv_sec : now.tv_nsec >= when.tv_nsec;
}

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)), wanted_(isatty(STDERR_FILENO) == 1), next_(after(1, 0)) {
  came = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], nullptr, &old_[i]);
    // What was to be ignored (nohup) stays so.
    if (old_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

Progress::~Progress() {
  wipe();
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &old_[i], nullptr);
}

int Progress::signal_that_came() { return came; }

void Progress::wipe() {
  if (shown_) fputs("\r\x1b[K", stderr);
  shown_ = false;
}

bool Progress::step(const TransferProgress& progress) {
  if (came != 0) return false;
  if (!wanted_ || !passed(next_)) return true;
  next_ = after(0, kAgain);
  fprintf(stderr, "\r\x1b[K%s: %s", what_.c_str(), progress_text(progress).c_str());
  fflush(stderr);
  shown_ = true;
  return true;
}

std::string progress_text(const TransferProgress& progress) {
  std::string text;
  if (progress.total > 0) {
    const double part = static_cast<double>(progress.done) / static_cast<double>(progress.total);
    text = std::to_string(static_cast<int>(part * 100)) + "%  ";
  }
  return text + counted(progress.nodes, "file", "files") + ", " + human_size(progress.bytes);
}

}  // namespace viewsh
