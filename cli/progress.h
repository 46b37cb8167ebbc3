#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "viewsh/layer.h"

namespace viewsh {

/// How far something is: `done` of `total`; 0 of 0 if it isn't known.
struct ProgressState {
  std::string_view phase;
  uint64_t done = 0;
  uint64_t total = 0;
  bool percent = false;  ///< the numbers mean little to a user, their ratio does
};

/// A bar on standard error for what takes longer than a second: one line that is written over, and
/// gone with the object. Nothing at all where standard error is no terminal or isn't ours; no
/// colour with NO_COLOR.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// May be called as often as one likes.
  void update(const ProgressState& state);
  void update(const TransferProgress& transfer);
  /// Takes the line away, before something else is written.
  void clear();

 private:
  /// It is time to draw anew.
  bool due();
  void draw(const ProgressState& state);

  std::string what_;
  bool wanted_ = false;
  bool colour_ = false;
  bool shown_ = false;
  int64_t next_ = 0;  ///< milliseconds of the monotonic clock
};

/// "what: phase [#####     ] 12/24", no wider than `width` columns.
std::string progress_line(std::string_view what, const ProgressState& state, size_t width,
                          bool colour);
/// "3456 files, 1.2G"
std::string transfer_phase(const TransferProgress& transfer);

}  // namespace viewsh
