#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tracee/lookup_patch.h"
#include "tracee/stopped.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// The resident stub: a private mapping in a tracee's address space, cut into slots. A rewritten
/// call finds its texts in a slot's data, and returns into the slot's code, which brings the
/// argument registers back as the ABI promises and jumps to where the call came from, with the
/// return address in rcx as a system call leaves it. So a rewritten call costs one stop.
///
/// Slot: code (a `syscall` instruction for restarts, then the entry), at kSavedAt the seven
/// saved registers, at kDataAt the texts. The tracee only reads it; the engine writes it through
/// /proc/PID/mem. One slot serves one task between the resumption and its next stop.
class StubArena {
 public:
  static constexpr size_t kSlotSize = 3 * 4096;
  static constexpr size_t kSlots = 16;
  static constexpr size_t kLaneSize = 2 * 4096;  ///< behind the slots: FstatCode
  static constexpr size_t kSize = kSlotSize * kSlots + kLaneSize + LookupCode::kSize;
  static constexpr size_t kEntryAt = 2;
  static constexpr size_t kCodeSize = 64;
  static constexpr size_t kSavedAt = 64;
  static constexpr size_t kDataAt = 128;
  static constexpr size_t kDataSize = kSlotSize - kDataAt;

  explicit StubArena(uint64_t address) : address_(address) {}
  /// The same mapping in a forked copy of the address space: all slots free.
  StubArena forked() const {
    StubArena copy(*this);
    for (pid_t& owner : copy.owner_) owner = 0;
    return copy;
  }
  /// The address of a free slot, now owned by `tid`.
  std::optional<uint64_t> take(pid_t tid);
  void release(uint64_t slot);
  uint64_t lane() const { return address_ + kSlotSize * kSlots; }
  /// Of LookupCode, behind that.
  uint64_t lookup() const { return lane() + kLaneSize; }
  bool contains(uint64_t address) const {
    return address >= address_ && address < address_ + kSize;
  }
  /// Writes saved registers and data. False: the mapping is gone.
  bool fill(int mem_fd, uint64_t slot, const Registers& saved, std::string_view data);

 private:
  uint64_t address_;
  pid_t owner_[kSlots] = {};
  bool code_written_[kSlots] = {};
};

/// The argument registers and the instruction pointer of `saved` put into `regs`, as the stub's
/// code would do it: for a task that stopped inside the stub.
void leave_stub(const Registers& saved, uint64_t slot, Registers* regs);

}  // namespace viewsh
