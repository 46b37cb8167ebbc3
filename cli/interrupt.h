#pragma once

#include <csignal>

namespace viewsh {

/// While this lives, the signals that end a program (INT, TERM, HUP) are remembered instead, so
/// that what is under way stops at a good place and leaves nothing behind. What was to be ignored
/// (nohup) stays so. There is one at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// The signal that came during the last one's life, or 0.
  static int signal();

 private:
  struct sigaction old_[3]{};
};

}  // namespace viewsh
