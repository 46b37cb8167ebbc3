#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "viewsh/result.h"

namespace viewsh {

/// What a seccomp filter does with one system call number.
enum class FilterAction : uint8_t {
  kAllow,   ///< runs natively, no stop
  kTrace,   ///< stops at the engine
  kEnosys,  ///< fails with ENOSYS without a stop
};

/// Traced only if an argument's low 32 bits have one of these values, or one of these bits; without
/// either, if the argument (a pointer) is not null. Allowed otherwise. With `pass`, the other way
/// round: allowed only if all 64 bits of the argument are that, and another one has none of the
/// bits `but_not`.
struct ArgumentTest {
  int nr = 0;
  unsigned argument = 0;
  std::vector<uint32_t> values;
  uint32_t bits = 0;
  uint64_t pass = 0;
  unsigned other = 0;
  uint32_t but_not = 0;
};

/// A filter: one action per number from 0; every number beyond is ENOSYS, and so is every call that
/// enters by another architecture (i386) or numbering (x32). seccomp(2).
struct FilterPlan {
  std::vector<FilterAction> actions;
  std::vector<ArgumentTest> tests;
};

/// The program: architecture check, then a binary search over ranges of equal action.
std::vector<sock_filter> compile_filter(const FilterPlan& plan);

/// Sets no_new_privs and installs the filter on the calling thread.
Result<void> install_filter(const std::vector<sock_filter>& program);

}  // namespace viewsh
