#include "tracee/stub.h"

#include <unistd.h>

#include <array>
#include <cstring>

namespace viewsh {

namespace {

/// syscall; then `mov REG, [rip + d]` for rdi rsi rdx r10 r8 r9 rcx; then `jmp *rcx`.
std::array<uint8_t, StubArena::kCodeSize> make_code() {
  constexpr uint8_t kMoves[7][3] = {{0x48, 0x8b, 0x3d}, {0x48, 0x8b, 0x35}, {0x48, 0x8b, 0x15},
                                    {0x4c, 0x8b, 0x15}, {0x4c, 0x8b, 0x05}, {0x4c, 0x8b, 0x0d},
                                    {0x48, 0x8b, 0x0d}};
  std::array<uint8_t, StubArena::kCodeSize> code{};
  code.fill(0xcc);
  code[0] = 0x0f;
  code[1] = 0x05;
  size_t at = StubArena::kEntryAt;
  for (size_t i = 0; i < 7; ++i) {
    memcpy(&code[at], kMoves[i], 3);
    auto distance = static_cast<uint32_t>(StubArena::kSavedAt + 8 * i - (at + 7));
    memcpy(&code[at + 3], &distance, 4);
    at += 7;
  }
  code[at] = 0xff;
  code[at + 1] = 0xe1;
  return code;
}

}  // namespace

std::optional<uint64_t> StubArena::take(pid_t tid) {
  for (size_t i = 0; i < kSlots; ++i) {
    if (owner_[i] != 0 && owner_[i] != tid) continue;
    owner_[i] = tid;
    return address_ + i * kSlotSize;
  }
  return std::nullopt;
}

void StubArena::release(uint64_t slot) { owner_[(slot - address_) / kSlotSize] = 0; }

bool StubArena::fill(int mem_fd, uint64_t slot, const Registers& saved, std::string_view data) {
  static const std::array<uint8_t, kCodeSize> kCode = make_code();
  size_t index = (slot - address_) / kSlotSize;
  char block[kSlotSize];
  memcpy(block, kCode.data(), kCodeSize);
  const uint64_t registers[8] = {saved.rdi, saved.rsi, saved.rdx, saved.r10,
                                 saved.r8,  saved.r9,  saved.rip, 0};
  memcpy(block + kSavedAt, registers, sizeof registers);
  memcpy(block + kDataAt, data.data(), data.size());
  size_t from = code_written_[index] ? kSavedAt : 0;
  size_t size = kDataAt + data.size() - from;
  ssize_t n = pwrite(mem_fd, block + from, size, static_cast<off_t>(slot + from));
  if (n != static_cast<ssize_t>(size)) return false;
  code_written_[index] = true;
  return true;
}

void leave_stub(const Registers& saved, uint64_t slot, Registers* regs) {
  if (regs->rip < slot || regs->rip >= slot + StubArena::kCodeSize) return;
  regs->rdi = saved.rdi;
  regs->rsi = saved.rsi;
  regs->rdx = saved.rdx;
  regs->r10 = saved.r10;
  regs->r8 = saved.r8;
  regs->r9 = saved.r9;
  regs->rcx = saved.rip;
  regs->rip = saved.rip;
}

}  // namespace viewsh
