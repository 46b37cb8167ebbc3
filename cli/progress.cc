#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "cli/terminal.h"
#include "cli/text.h"

namespace viewsh {
namespace {

constexpr int64_t kPatience = 1000;  ///< milliseconds before anything is shown
constexpr int64_t kPause = 100;      ///< milliseconds between two looks
constexpr size_t kBar = 30;
constexpr size_t kWidth = 80;

int64_t milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

size_t terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) return kWidth;
  return size.ws_col;
}

}  // namespace

std::string progress_line(std::string_view what, const ProgressState& state, size_t width,
                          bool colour) {
  std::string head = std::string(what) + ": " + std::string(state.phase);
  const uint64_t total = state.total;
  const long double part = total == 0 ? 0.0L
                                      : static_cast<long double>(std::min(state.done, total)) /
                                            static_cast<long double>(total);
  const std::string count = state.percent
                                ? std::to_string(static_cast<int>(part * 100)) + "%"
                                : std::to_string(state.done) + "/" + std::to_string(total);
  // Brackets, spaces, and a last column that stays free, so that no terminal wraps.
  const size_t around = head.size() + count.size() + 5;
  if (total == 0 || around >= width) return head.substr(0, width > 0 ? width - 1 : 0);
  const size_t bar = std::min(kBar, width - around);
  const auto full = static_cast<size_t>(part * static_cast<long double>(bar));
  return head + " [" + coloured(std::string(full, '#'), Colour::kGreen, colour) +
         std::string(bar - full, ' ') + "] " + count;
}

std::string transfer_phase(const TransferProgress& transfer) {
  return counted(transfer.nodes, "file", "files") + ", " + human_size(transfer.bytes);
}

Progress::Progress(std::string what) : what_(std::move(what)) {
  const char* term = getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  wanted_ = !dumb && isatty(STDERR_FILENO) == 1 && tcgetpgrp(STDERR_FILENO) == getpgrp();
  colour_ = colour_wanted(STDERR_FILENO);
  next_ = milliseconds() + kPatience;
}

bool Progress::due() {
  if (!wanted_) return false;
  const int64_t now = milliseconds();
  if (now < next_) return false;
  next_ = now + kPause;
  return true;
}

void Progress::draw(const ProgressState& state) {
  const std::string line = "\r" + progress_line(what_, state, terminal_width(), colour_) + "\x1b[K";
  fwrite(line.data(), 1, line.size(), stderr);
  fflush(stderr);
  shown_ = true;
}

void Progress::update(const ProgressState& state) {
  if (due()) draw(state);
}

void Progress::update(const TransferProgress& transfer) {
  if (!due()) return;
  const std::string phase = transfer_phase(transfer);
  draw({.phase = phase, .done = transfer.done, .total = transfer.total, .percent = true});
}

void Progress::clear() {
  if (!shown_) return;
  fputs("\r\x1b[K", stderr);
  fflush(stderr);
  shown_ = false;
}

}  // namespace viewsh
