#pragma once

#include <csignal>
#include <cstdint>
#include <ctime>
#include <string>

#include "viewsh/layer.h"

namespace viewsh {

/// A line on a terminal that tells how far something is, once it takes more than a second. While
/// this lives, the signals that end a program don't end it: step() says that it is to stop.
class Progress {
 public:
  /// `what`: what is done, for the line.
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// False: to stop.
  bool step(const TransferProgress& progress);
  /// The signal that came, or 0.
  static int signal_that_came();

 private:
  void wipe();

  std::string what_;
  bool wanted_;
  bool shown_ = false;
  timespec next_{};
  struct sigaction old_[3]{};
};

/// "12%  3456 files, 1.2G": the part that can be said.
std::string progress_text(const TransferProgress& progress);

}  // namespace viewsh
