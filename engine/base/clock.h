#pragma once

#include <cstdint>
#include <ctime>

namespace viewsh {

/// CLOCK_MONOTONIC in nanoseconds. clock_gettime(2)
inline int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

}  // namespace viewsh
