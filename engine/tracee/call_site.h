#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>

#include "tracee/memory.h"
#include "tracee/stopped.h"

namespace viewsh {

/// fstat(2) with this third argument, which the kernel doesn't look at, is not stopped. Whoever
/// else says it learns what the kernel tells of his own descriptor.
inline constexpr uint64_t kNativeFstat = 0x7661'7473'6677'6576;

using CodeWord = std::array<uint8_t, 8>;

/// An instruction of a program that gives way to another of the same length.
struct CallSite {
  uint64_t at = 0;       ///< of the instruction
  uint64_t returns = 0;  ///< behind the system call that it leads to
  CodeWord before{};     ///< eight bytes, of which the last one doesn't change
};

/// glibc 2.33 to 2.40 makes fstat(3) of newfstatat(2) with an empty path. A filter can't tell that
/// from a look-up, so each is a stop. This finds the instruction of fstat(3) that loads the empty
/// path, for a task stopped in such a call (`regs` of its entry). Only this one instruction is to
/// be changed, so that any thread or signal frame may be in front of it or behind it. Nothing: the
/// code around is not glibc's.
std::optional<CallSite> find_fstat_site(const TraceeMemory& memory, const Registers& regs);

/// What to put there: fstat's number and a jump to the same `syscall` instruction.
CodeWord direct_fstat(const CallSite& site);
/// A jump to `target`; nothing: it is too far away.
std::optional<CodeWord> jump_from(const CallSite& site, uint64_t target);

/// What the jump leads to: asks the kernel, and once more with a stop if the inode is one of those
/// of which the view may have something else to say. A task's registers are then as behind
/// newfstatat(2).
struct FstatCode {
  static constexpr size_t kSize = 64;       ///< of the code for one site
  static constexpr size_t kMostSites = 64;  ///< all before the marks
  static constexpr size_t kMarksAt = 4096;  ///< behind the first such code
  static constexpr size_t kMarks = 32768;   ///< bits, by the low bits of inode numbers
  /// The code of `site` at `at`, with the marks at `marks`.
  static std::array<uint8_t, kSize> make(const CallSite& site, uint64_t at, uint64_t marks);
};

/// Writes eight bytes of a stopped tracee's code, which need not be writable for it. A private
/// mapping's page becomes the process's own. False: it can't be written.
bool write_code(pid_t tid, uint64_t at, const CodeWord& bytes);

}  // namespace viewsh
