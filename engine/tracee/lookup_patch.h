#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tracee/call_site.h"
#include "tracee/lookup_layout.h"
#include "tracee/memory.h"
#include "tracee/stopped.h"

namespace viewsh {

/// Code that answers look-ups in a process, behind FstatCode in its StubArena: three pages of code,
/// one of LookupData, the LookupTable, a shared mapping of the view's, and a LookupCache.
struct LookupCode {
  static constexpr size_t kPage = 4096;
  static constexpr size_t kTextSize = 3 * kPage;
  static constexpr size_t kDataAt = kTextSize;
  static constexpr size_t kTableAt = kDataAt + kPage;
  static constexpr size_t kCacheAt = kTableAt + kLookupTableSize;
  static constexpr size_t kCacheSize = sizeof(LookupCache);
  static constexpr size_t kSize = kCacheAt + kCacheSize;

  /// To be copied to a page's start; runs wherever that is.
  static std::span<const uint8_t> text();
  /// Where in it it is entered.
  static size_t entry();
  /// Where it writes to the program's memory; and where to go on if that can't be written: makes
  /// the call with a stop.
  static size_t copy();
  static size_t stop();
  /// Where it reads a path of the program's, and where to go on if that can't be read.
  static size_t fetch();
  static size_t unread();
};

/// An instruction `mov $NR,%eax`, and others between it and its system call, which may as well run
/// elsewhere.
struct NumberSite {
  CallSite site;
  std::vector<uint8_t> between;
};

/// That in front of the system call in which a task is stopped. Nothing: the code is another one.
std::optional<NumberSite> find_number(const TraceeMemory& memory, const Registers& regs);

/// What a jump from the site leads to, at `at`: calls LookupCode's `entry` for that number and goes
/// back behind the program's system call.
std::array<uint8_t, FstatCode::kSize> make_lookup_call(const NumberSite& number, uint32_t nr,
                                                       uint64_t at, uint64_t entry);
/// That jump: in the place of the `mov`. Nothing: too far away.
std::optional<CodeWord> lookup_jump(const CallSite& site, uint64_t target);

}  // namespace viewsh
