#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace viewsh::testing {

/// The answer of a classic BPF program to a call, by the rules of bpf_check_classic() and
/// seccomp(2). Only what our compiler makes is known; anything else fails the test.
inline uint32_t run_bpf(const std::vector<sock_filter>& program, const seccomp_data& data) {
  uint32_t accumulator = 0;
  for (size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& one = program[pc];
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (one.k % 4 != 0 || one.k + 4 > sizeof data) {
          ADD_FAILURE() << "bad offset " << one.k;
          return 0;
        }
        memcpy(&accumulator, reinterpret_cast<const char*>(&data) + one.k, sizeof accumulator);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        pc += accumulator == one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        pc += accumulator >= one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        pc += accumulator > one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        pc += (accumulator & one.k) != 0 ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JA:
        pc += one.k;
        break;
      case BPF_RET | BPF_K:
        return one.k;
      default:
        ADD_FAILURE() << "instruction " << one.code << " at " << pc;
        return 0;
    }
  }
  ADD_FAILURE() << "ran off the end";
  return 0;
}

}  // namespace viewsh::testing
