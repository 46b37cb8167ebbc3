#pragma once

#include <locale.h>

#include <chrono>

#include "viewsh/suspension.h"

namespace viewsh {

/// Work of many small steps, which lets others go on now and then. Not owned: what it pauses by.
class Pace {
 public:
  Pace() = default;
  explicit Pace(Suspension* suspension) : suspension_(suspension) {}

  /// After each step. EINTR: nobody wants the result any more.
  Result<void> step() {
    if (suspension_ == nullptr || !suspension_->can_wait()) return {};
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kLongest) return {};
    // The characters of names (NameCharacters) are a matter of the thread, which others use, too.
    const locale_t own = uselocale(LC_GLOBAL_LOCALE);
    const Result<void> paused = suspension_->pause();
    uselocale(own);
    last_ = std::chrono::steady_clock::now();
    return paused;
  }

 private:
  static constexpr std::chrono::milliseconds kLongest{2};
  Suspension* suspension_ = nullptr;
  std::chrono::steady_clock::time_point last_ = {};
};

}  // namespace viewsh
