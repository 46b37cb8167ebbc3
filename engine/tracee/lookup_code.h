#pragma once

// What the parts of the code that runs in the processes of a view share; lookup_code.cc tells of
// it.
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tracee/answer_layout.h"
#include "tracee/call_site.h"
#include "tracee/lookup_layout.h"

#define IN_LOOKUP __attribute__((section("viewsh_lookup"), noinline))
#define INLINE_IN_LOOKUP inline __attribute__((always_inline))

namespace viewsh::in_process {

/// As lookup_enter.S lays it on the stack.
struct Arguments {
  long nr;
  long a0, a1, a2, a3, a4, a5;
};

/// What was found, before the program gets it: lookup_enter.S copies `copied` bytes.
struct Found {
  union {
    struct stat stat;
    struct statx statx;
    char text[256];
  };
  long to;
};
static_assert(sizeof(Found) == 264);

/// As lookup_enter.S expects it. `copied` 1: the call has to be made with a stop.
struct Answer {
  long result;
  long copied;
};
constexpr Answer kStop{0, 1};

struct Tables {
  const LookupTable* table;
  LookupCache* cache;
  const LookupData* data;
  Found* found;
  uint64_t round;  ///< the table's when the call began
};

/// `mark`: the sixth argument.
INLINE_IN_LOOKUP long call_kernel(long nr, long a0, long a1, long a2, long a3, long a4,
                                  uint64_t mark) {
  register long r10 asm("r10") = a3;
  register long r8 asm("r8") = a4;
  register long r9 asm("r9") = static_cast<long>(mark);
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(nr), "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

INLINE_IN_LOOKUP long native(long nr, long a0, long a1, long a2, long a3 = 0, long a4 = 0) {
  return call_kernel(nr, a0, a1, a2, a3, a4, kNativeLookup);
}

INLINE_IN_LOOKUP long native_fstat(long fd, struct stat* st) {
  return call_kernel(SYS_fstat, fd, reinterpret_cast<long>(st), static_cast<long>(kNativeFstat), 0,
                     0, 0);
}

INLINE_IN_LOOKUP bool has_bit(const uint8_t* bits, size_t bit) {
  return (bits[bit / 8] >> (bit % 8) & 1) != 0;
}

/// The inode is what the view shows of it.
INLINE_IN_LOOKUP bool is_shown(const LookupTable* table, uint64_t ino) {
  return !has_bit(table->inodes, LookupTable::inode_bit(ino));
}

/// Without asking for more than an open object: from the AnswerTable; answer_code.cc.
IN_LOOKUP __attribute__((visibility("hidden"))) Answer answer_by_heart(const Tables& t,
                                                                       const Arguments& a);

}  // namespace viewsh::in_process
