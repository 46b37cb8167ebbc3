#include "tracee/own_filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>

#include <cerrno>
#include <cstddef>

namespace viewsh {
namespace {

sock_filter op(unsigned code, uint32_t k, uint8_t yes = 0, uint8_t no = 0) {
  return {static_cast<uint16_t>(code), yes, no, k};
}

seccomp_data call(int nr, uint64_t first = 0) {
  seccomp_data data{};
  data.nr = nr;
  data.arch = AUDIT_ARCH_X86_64;
  data.args[0] = first;
  return data;
}

constexpr uint32_t kFirstLow = offsetof(seccomp_data, args);

TEST(RunFilter, EveryArithmetic) {
  struct Case {
    unsigned operation;
    uint32_t a, k, result;
  };
  const Case cases[] = {{BPF_ADD, 7, 5, 12},         {BPF_SUB, 7, 5, 2},
                        {BPF_SUB, 5, 7, 0xfffffffe}, {BPF_MUL, 7, 5, 35},
                        {BPF_DIV, 35, 5, 7},         {BPF_AND, 0xff, 0x3c, 0x3c},
                        {BPF_OR, 0xf0, 0x0f, 255},   {BPF_XOR, 0xff, 0x0f, 0xf0},
                        {BPF_LSH, 1, 4, 16},         {BPF_RSH, 16, 4, 1}};
  for (const Case& one : cases) {
    EXPECT_EQ(run_filter({op(BPF_LD | BPF_IMM, one.a), op(BPF_ALU | one.operation | BPF_K, one.k),
                          op(BPF_RET | BPF_A, 0)},
                         call(0)),
              one.result)
        << one.operation;
    EXPECT_EQ(run_filter({op(BPF_LDX | BPF_IMM, one.k), op(BPF_LD | BPF_IMM, one.a),
                          op(BPF_ALU | one.operation | BPF_X, 0), op(BPF_RET | BPF_A, 0)},
                         call(0)),
              one.result)
        << one.operation;
  }
  EXPECT_EQ(run_filter({op(BPF_LD | BPF_IMM, 1), op(BPF_ALU | BPF_NEG, 0), op(BPF_RET | BPF_A, 0)},
                       call(0)),
            0xffffffffU);
  EXPECT_EQ(run_filter({op(BPF_ALU | BPF_DIV | BPF_X, 0), op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)},
                       call(0)),
            uint32_t{SECCOMP_RET_KILL_THREAD});
}

TEST(RunFilter, MemoryAndRegisters) {
  EXPECT_EQ(run_filter({op(BPF_LD | BPF_IMM, 7), op(BPF_ST, 3), op(BPF_LD | BPF_IMM, 8),
                        op(BPF_MISC | BPF_TAX, 0), op(BPF_STX, 15), op(BPF_LD | BPF_MEM, 3),
                        op(BPF_LDX | BPF_MEM, 15), op(BPF_ALU | BPF_MUL | BPF_X, 0),
                        op(BPF_RET | BPF_A, 0)},
                       call(0)),
            56U);
  EXPECT_EQ(
      run_filter({op(BPF_LDX | BPF_IMM, 9), op(BPF_MISC | BPF_TXA, 0), op(BPF_RET | BPF_A, 0)},
                 call(0)),
      9U);
  EXPECT_EQ(run_filter({op(BPF_LD | BPF_W | BPF_LEN, 0), op(BPF_RET | BPF_A, 0)}, call(0)),
            sizeof(seccomp_data));
}

TEST(RunFilter, Jumps) {
  for (auto [operation, k, taken] : {std::tuple{BPF_JEQ, 5U, true},
                                     {BPF_JEQ, 6U, false},
                                     {BPF_JGT, 4U, true},
                                     {BPF_JGT, 5U, false},
                                     {BPF_JGE, 5U, true},
                                     {BPF_JGE, 6U, false},
                                     {BPF_JSET, 4U, true},
                                     {BPF_JSET, 2U, false}}) {
    const uint32_t expected = taken ? 1 : 2;
    EXPECT_EQ(run_filter({op(BPF_LD | BPF_W | BPF_ABS, kFirstLow),
                          op(BPF_JMP | static_cast<unsigned>(operation) | BPF_K, k, 0, 1),
                          op(BPF_RET | BPF_K, 1), op(BPF_RET | BPF_K, 2)},
                         call(0, 5)),
              expected);
    EXPECT_EQ(run_filter({op(BPF_LDX | BPF_IMM, k), op(BPF_LD | BPF_W | BPF_ABS, kFirstLow),
                          op(BPF_JMP | static_cast<unsigned>(operation) | BPF_X, 0, 0, 1),
                          op(BPF_RET | BPF_K, 1), op(BPF_RET | BPF_K, 2)},
                         call(0, 5)),
              expected);
  }
  EXPECT_EQ(run_filter({op(BPF_JMP | BPF_JA, 1), op(BPF_RET | BPF_K, 1), op(BPF_RET | BPF_K, 2)},
                       call(0)),
            2U);
}

std::vector<sock_filter> refusing(int nr, uint32_t answer) {
  return {op(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          op(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(nr), 0, 1),
          op(BPF_RET | BPF_K, answer), op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
}

OwnFilters chain(std::initializer_list<std::vector<sock_filter>> programs) {
  OwnFilters out;
  for (const auto& program : programs) out = std::make_shared<OwnFilter>(OwnFilter{program, out});
  return out;
}

TEST(AllowedBy, AllOfThemHaveToAgree) {
  EXPECT_TRUE(allowed_by(nullptr, call(9)));
  for (uint32_t answer : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,
                          SECCOMP_RET_ERRNO | EPERM, SECCOMP_RET_USER_NOTIF}) {
    EXPECT_FALSE(allowed_by(chain({refusing(9, answer)}), call(9))) << answer;
    EXPECT_TRUE(allowed_by(chain({refusing(9, answer)}), call(10))) << answer;
    EXPECT_FALSE(allowed_by(chain({refusing(9, answer), refusing(10, answer)}), call(9)));
    EXPECT_FALSE(allowed_by(chain({refusing(10, answer), refusing(9, answer)}), call(9)));
  }
  EXPECT_TRUE(allowed_by(chain({refusing(9, SECCOMP_RET_LOG)}), call(9)));
  EXPECT_TRUE(allowed_by(chain({refusing(9, SECCOMP_RET_TRACE)}), call(9)));
}

}  // namespace
}  // namespace viewsh
