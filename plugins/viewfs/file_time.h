#pragma once

#include <sys/stat.h>
#include <time.h>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "viewsh/filesystem.h"

namespace viewsh::viewfs {

/// A time of a file: every one that statx(2) can tell. 64 bits of nanoseconds end in 2262.
struct FileTime {
  int64_t sec = 0;    ///< since the epoch
  uint32_t nsec = 0;  ///< always forward

  constexpr FileTime() = default;
  constexpr FileTime(int64_t seconds, uint32_t nanoseconds) : sec(seconds), nsec(nanoseconds) {}
  /// Nanoseconds since the epoch.
  constexpr FileTime(int64_t ns)  // NOLINT
      : sec(ns / kSecond - (ns % kSecond < 0 ? 1 : 0)),
        nsec(static_cast<uint32_t>(ns % kSecond + (ns % kSecond < 0 ? kSecond : 0))) {}
  auto operator<=>(const FileTime&) const = default;

  timespec spec() const { return {.tv_sec = sec, .tv_nsec = static_cast<long>(nsec)}; }
  void put(statx_timestamp* t) const { t->tv_sec = sec, t->tv_nsec = nsec; }
  /// Nanoseconds since the epoch, decimal, of as many digits as it takes.
  std::string text() const;
  /// The reverse. False: it isn't that, or no time that there can be.
  static bool parse(std::string_view text, FileTime* out);

 private:
  static constexpr int64_t kSecond = 1'000'000'000;
};

inline FileTime file_time(const statx_timestamp& t) { return {t.tv_sec, t.tv_nsec}; }

}  // namespace viewsh::viewfs
