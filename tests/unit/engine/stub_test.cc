#include "tracee/stub.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <set>

namespace viewsh {
namespace {

TEST(StubArena, ASlotForEachTask) {
  StubArena arena(0x10000);
  std::set<uint64_t> slots;
  for (pid_t tid = 1; tid <= static_cast<pid_t>(StubArena::kSlots); ++tid) {
    std::optional<uint64_t> slot = arena.take(tid);
    ASSERT_TRUE(slot);
    EXPECT_TRUE(arena.contains(*slot));
    EXPECT_TRUE(arena.contains(*slot + StubArena::kSlotSize - 1));
    EXPECT_EQ((*slot - 0x10000) % StubArena::kSlotSize, 0U);
    slots.insert(*slot);
  }
  EXPECT_EQ(slots.size(), StubArena::kSlots);
  EXPECT_FALSE(arena.take(1000));
  EXPECT_FALSE(arena.contains(0x10000 - 1));
  EXPECT_FALSE(arena.contains(0x10000 + StubArena::kSize));
}

TEST(StubArena, TheSameTaskGetsItsSlotAgain) {
  StubArena arena(0x10000);
  std::optional<uint64_t> first = arena.take(7);
  EXPECT_EQ(arena.take(7), first);
  EXPECT_NE(arena.take(8), first);
}

TEST(StubArena, AReleasedSlotServesAnother) {
  StubArena arena(0x10000);
  for (pid_t tid = 1; tid <= static_cast<pid_t>(StubArena::kSlots); ++tid) arena.take(tid);
  const uint64_t fifth = 0x10000 + 5 * StubArena::kSlotSize;
  arena.release(fifth);
  EXPECT_EQ(arena.take(1000), fifth);
  EXPECT_FALSE(arena.take(1001));
}

TEST(StubArena, AForkedCopyHasAllSlotsFree) {
  StubArena arena(0x10000);
  for (pid_t tid = 1; tid <= static_cast<pid_t>(StubArena::kSlots); ++tid) arena.take(tid);
  StubArena copy = arena.forked();
  EXPECT_EQ(copy.take(2000), uint64_t{0x10000});
  EXPECT_FALSE(arena.take(2000));
  EXPECT_TRUE(copy.contains(0x10000 + StubArena::kSize - 1));
}

TEST(LeaveStub, InsideTheCodeOnly) {
  Registers saved{};
  saved.rdi = 1;
  saved.rsi = 2;
  saved.rdx = 3;
  saved.r10 = 4;
  saved.r8 = 5;
  saved.r9 = 6;
  saved.rip = 0x400100;
  Registers regs{};
  regs.rip = 0x10000 + StubArena::kEntryAt;
  regs.rax = 42;
  regs.rsp = 43;
  leave_stub(saved, 0x10000, &regs);
  EXPECT_EQ(regs.rdi, 1U);
  EXPECT_EQ(regs.rsi, 2U);
  EXPECT_EQ(regs.rdx, 3U);
  EXPECT_EQ(regs.r10, 4U);
  EXPECT_EQ(regs.r8, 5U);
  EXPECT_EQ(regs.r9, 6U);
  EXPECT_EQ(regs.rcx, 0x400100U);
  EXPECT_EQ(regs.rip, 0x400100U);
  EXPECT_EQ(regs.rax, 42U);
  EXPECT_EQ(regs.rsp, 43U);
  Registers outside{};
  outside.rip = 0x10000 + StubArena::kCodeSize;
  leave_stub(saved, 0x10000, &outside);
  EXPECT_EQ(outside.rip, 0x10000U + StubArena::kCodeSize);
  EXPECT_EQ(outside.rdi, 0U);
}

/// What goes to the stub, and what the processor held when it had jumped back.
struct Trip {
  uint64_t entry = 0;
  uint64_t saved_rip = 0;  ///< where the slot keeps the return address, which is known here only
  uint64_t rax_in = 0;
  uint64_t flags_in = 0;
  uint64_t rax = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, r8 = 0, r9 = 0, r10 = 0, flags = 0;
  uint64_t back = 0;
  uint64_t stack_difference = 1;
};

/// Jumps to trip->entry with other values in the registers that the stub restores.
void run_stub(Trip* trip) {
  asm volatile(
      "sub $128, %%rsp\n\t"
      "mov %%rdi, %%r13\n\t"
      "mov %%rsp, %%r15\n\t"
      "mov 0(%%r13), %%r12\n\t"
      "mov 8(%%r13), %%r11\n\t"
      "lea 1f(%%rip), %%rcx\n\t"
      "mov %%rcx, (%%r11)\n\t"
      "mov %%rcx, 104(%%r13)\n\t"
      "mov $-1, %%rcx\n\t"
      "mov $-1, %%rdx\n\t"
      "mov $-1, %%rsi\n\t"
      "mov $-1, %%rdi\n\t"
      "mov $-1, %%r8\n\t"
      "mov $-1, %%r9\n\t"
      "mov $-1, %%r10\n\t"
      "mov 16(%%r13), %%rax\n\t"
      "pushq 24(%%r13)\n\t"
      "popfq\n\t"
      "jmp *%%r12\n"
      "1:\n\t"
      "mov %%rax, 32(%%r13)\n\t"
      "pushfq\n\t"
      "popq 96(%%r13)\n\t"
      "cld\n\t"
      "mov %%rcx, 40(%%r13)\n\t"
      "mov %%rdx, 48(%%r13)\n\t"
      "mov %%rsi, 56(%%r13)\n\t"
      "mov %%rdi, 64(%%r13)\n\t"
      "mov %%r8, 72(%%r13)\n\t"
      "mov %%r9, 80(%%r13)\n\t"
      "mov %%r10, 88(%%r13)\n\t"
      "sub %%rsp, %%r15\n\t"
      "mov %%r15, 112(%%r13)\n\t"
      "add $128, %%rsp\n\t"
      : "+D"(trip)
      :
      : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r15", "memory", "cc");
}

/// A stub of our own, mapped as a tracee has it and filled as the engine does it.
class StubCode : public ::testing::Test {
 protected:
  void SetUp() override {
    void* at = mmap(nullptr, StubArena::kSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) GTEST_SKIP() << "no executable mapping: " << strerror(errno);
    map_ = at;
    mem_ = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    ASSERT_GE(mem_, 0);
  }
  void TearDown() override {
    if (map_ != nullptr) munmap(map_, StubArena::kSize);
    if (mem_ >= 0) close(mem_);
  }
  static Registers values(uint64_t base) {
    Registers regs{};
    regs.rdi = base + 1;
    regs.rsi = base + 2;
    regs.rdx = base + 3;
    regs.r10 = base + 4;
    regs.r8 = base + 5;
    regs.r9 = base + 6;
    return regs;
  }
  void expect_restored(uint64_t slot, uint64_t entry, uint64_t base, uint64_t rax_in,
                       uint64_t rax_out, uint64_t flags) {
    Trip seen;
    seen.entry = entry;
    seen.saved_rip = slot + StubArena::kSavedAt + 6 * sizeof(uint64_t);
    seen.rax_in = rax_in;
    seen.flags_in = flags;
    run_stub(&seen);
    EXPECT_EQ(seen.rdi, base + 1);
    EXPECT_EQ(seen.rsi, base + 2);
    EXPECT_EQ(seen.rdx, base + 3);
    EXPECT_EQ(seen.r10, base + 4);
    EXPECT_EQ(seen.r8, base + 5);
    EXPECT_EQ(seen.r9, base + 6);
    EXPECT_EQ(seen.rcx, seen.back);
    EXPECT_EQ(seen.rax, rax_out);
    EXPECT_EQ(seen.stack_difference, 0U);
    constexpr uint64_t kArithmetic = 0x8d5 | 0x400;  // CF PF AF ZF SF OF, DF
    EXPECT_EQ(seen.flags & kArithmetic, flags & kArithmetic);
  }
  void* map_ = nullptr;
  int mem_ = -1;
};

TEST_F(StubCode, TheArgumentRegistersComeBack) {
  StubArena arena(reinterpret_cast<uint64_t>(map_));
  constexpr uint64_t kFlags = 0x202;
  for (pid_t tid = 1; tid <= static_cast<pid_t>(StubArena::kSlots); ++tid) {
    const uint64_t slot = *arena.take(tid);
    const uint64_t base = 0x1122334400000000ULL + static_cast<uint64_t>(tid) * 16;
    ASSERT_TRUE(arena.fill(mem_, slot, values(base), std::string_view("/a/path\0", 8)));
    EXPECT_STREQ(reinterpret_cast<const char*>(slot + StubArena::kDataAt), "/a/path");  // NOLINT
    for (uint64_t flags : {kFlags, kFlags | 0x8d5, kFlags | 0x400, kFlags | 0x1, kFlags | 0x40}) {
      expect_restored(slot, slot + StubArena::kEntryAt, base, 77, 77, flags);
    }
  }
}

TEST_F(StubCode, ASecondFillingTakesEffect) {
  StubArena arena(reinterpret_cast<uint64_t>(map_));
  const uint64_t slot = *arena.take(1);
  const std::string large(StubArena::kDataSize, 'x');
  ASSERT_TRUE(arena.fill(mem_, slot, values(100), large));
  expect_restored(slot, slot + StubArena::kEntryAt, 100, 1, 1, 0x202);
  ASSERT_TRUE(arena.fill(mem_, slot, values(200), std::string_view("y\0", 2)));
  expect_restored(slot, slot + StubArena::kEntryAt, 200, 1, 1, 0x202);
  const char* data = reinterpret_cast<const char*>(slot + StubArena::kDataAt);  // NOLINT
  EXPECT_STREQ(data, "y");
  EXPECT_EQ(data[StubArena::kDataSize - 1], 'x');
}

TEST_F(StubCode, ARestartedCallRunsFromTheSlot) {
  StubArena arena(reinterpret_cast<uint64_t>(map_));
  const uint64_t slot = *arena.take(1);
  ASSERT_TRUE(arena.fill(mem_, slot, values(300), ""));
  // A signal's restart steps back by the two bytes of the instruction before the entry.
  expect_restored(slot, slot + StubArena::kEntryAt - 2, 300, SYS_getpid,
                  static_cast<uint64_t>(getpid()), 0x202);
}

TEST_F(StubCode, AForkedArenaKeepsItsCode) {
  StubArena arena(reinterpret_cast<uint64_t>(map_));
  const uint64_t slot = *arena.take(1);
  ASSERT_TRUE(arena.fill(mem_, slot, values(400), ""));
  StubArena copy = arena.forked();
  ASSERT_EQ(copy.take(2), slot);
  ASSERT_TRUE(copy.fill(mem_, slot, values(500), ""));
  expect_restored(slot, slot + StubArena::kEntryAt, 500, 9, 9, 0x202);
}

TEST_F(StubCode, FillingAMappingThatWentFails) {
  StubArena arena(reinterpret_cast<uint64_t>(map_));
  const uint64_t slot = *arena.take(1);
  munmap(map_, StubArena::kSize);
  map_ = nullptr;
  EXPECT_FALSE(arena.fill(mem_, slot, values(1), "x"));
}

}  // namespace
}  // namespace viewsh
