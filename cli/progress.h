#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace viewsh {

/// A bar on standard error for what takes longer than a second: one line that is written over, and
/// gone with the object. Nothing at all where standard error is no terminal or isn't ours; no
/// colour with NO_COLOR.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `total` of a phase; 0 of 0 if it isn't known. May be called as often as one likes.
  void update(std::string_view phase, uint64_t done, uint64_t total);
  /// Takes the line away, before something else is written.
  void clear();

 private:
  std::string what_;
  bool wanted_ = false;
  bool colour_ = false;
  bool shown_ = false;
  uint64_t calls_ = 0;
  int64_t next_ = 0;  ///< milliseconds of the monotonic clock
};

/// "what: phase [#####     ] 12/24", no wider than `width` columns.
std::string progress_line(std::string_view what, std::string_view phase, uint64_t done,
                          uint64_t total, size_t width, bool colour);

}  // namespace viewsh
