#pragma once

#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace viewsh::loader {

constexpr uint64_t kPageSize = 4096;

constexpr uint64_t page_floor(uint64_t address) { return address & ~(kPageSize - 1); }
constexpr uint64_t page_ceil(uint64_t address) { return page_floor(address + kPageSize - 1); }

/// A system call; -4095..-1 is an error.
inline long system_call(long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0,
                        uint64_t e = 0, uint64_t f = 0) {
  long result = 0;
  register uint64_t r10 asm("r10") = d;
  register uint64_t r8 asm("r8") = e;
  register uint64_t r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

constexpr bool failed(long result) { return result < 0 && result >= -4095; }

/// The end of a program whose start failed when there was no way back. The kernel forces SIGSEGV
/// then (fs/exec.c, bprm_execve), and a privileged instruction has that effect too, even where the
/// signal is blocked or ignored.
[[noreturn]] inline void die() {
  asm volatile("hlt");
  __builtin_unreachable();
}

inline uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

/// By one instruction, which no compiler turns into a call of memset.
inline void zero(uint64_t at, uint64_t size) {
  asm volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(0) : "memory");
}

inline void copy(uint64_t to, uint64_t from, uint64_t size) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

}  // namespace viewsh::loader
