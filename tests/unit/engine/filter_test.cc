#include "tracee/filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstring>
#include <optional>
#include <random>

#include "bpf.h"
#include "syscalls/table.h"

namespace viewsh {
namespace {

using testing::run_bpf;

constexpr uint32_t kTrace = SECCOMP_RET_TRACE;
constexpr uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;

seccomp_data call(long nr, std::initializer_list<uint64_t> arguments = {},
                  uint32_t arch = AUDIT_ARCH_X86_64) {
  seccomp_data data{};
  data.nr = static_cast<int>(nr);
  data.arch = arch;
  size_t i = 0;
  for (uint64_t argument : arguments) data.args[i++] = argument;
  return data;
}

uint32_t value_of(FilterAction action) {
  switch (action) {
    case FilterAction::kAllow:
      return kAllow;
    case FilterAction::kTrace:
      return kTrace;
    case FilterAction::kEnosys:
      break;
  }
  return kEnosys;
}

/// Numbers that are in no table: negative ones, x32 ones, and what lies far beyond.
const long kStrangers[] = {-1,         601,        4096,       0x7fffffff, -0x80000000L,
                           0x40000000, 0x40000001, 0x40000101, 0x40000200, 0x400001ff};

TEST(CompileFilter, EveryNumberHasItsAction) {
  std::mt19937_64 dice(1);
  for (int round = 0; round < 40; ++round) {
    FilterPlan plan;
    const size_t size = 1 + dice() % 600;
    const uint64_t run = 1 + dice() % 20;  // short runs make long programs
    FilterAction action = FilterAction::kAllow;
    for (size_t nr = 0; nr < size; ++nr) {
      if (dice() % run == 0) action = static_cast<FilterAction>(dice() % 3);
      plan.actions.push_back(action);
    }
    const std::vector<sock_filter> program = compile_filter(plan);
    ASSERT_LE(program.size(), size_t{BPF_MAXINSNS});
    for (long nr = 0; nr <= 600; ++nr) {
      const auto index = static_cast<size_t>(nr);
      const uint32_t expected = index < size ? value_of(plan.actions[index]) : kEnosys;
      ASSERT_EQ(run_bpf(program, call(nr)), expected) << nr << " of " << size;
    }
    for (long nr : kStrangers) ASSERT_EQ(run_bpf(program, call(nr)), kEnosys) << nr;
  }
}

TEST(CompileFilter, AlternatingActionsStillFit) {
  FilterPlan plan;
  for (int nr = 0; nr < 600; ++nr) {
    plan.actions.push_back(nr % 2 == 0 ? FilterAction::kTrace : FilterAction::kAllow);
    if (nr % 3 == 0) plan.tests.push_back({nr, 2, {}});
  }
  const std::vector<sock_filter> program = compile_filter(plan);
  ASSERT_LE(program.size(), size_t{BPF_MAXINSNS});
  for (long nr = 0; nr < 600; ++nr) {
    const bool trace = nr % 3 == 0 ? false : nr % 2 == 0;
    ASSERT_EQ(run_bpf(program, call(nr)), trace ? kTrace : kAllow) << nr;
    const bool trace_set = nr % 3 == 0 ? true : nr % 2 == 0;
    ASSERT_EQ(run_bpf(program, call(nr, {0, 0, 1})), trace_set ? kTrace : kAllow) << nr;
  }
}

TEST(CompileFilter, AnEmptyPlanKnowsNothing) {
  const std::vector<sock_filter> program = compile_filter({});
  EXPECT_EQ(run_bpf(program, call(0)), kEnosys);
  EXPECT_EQ(run_bpf(program, call(-1)), kEnosys);
}

TEST(CompileFilter, OtherArchitecturesAreRefused) {
  FilterPlan plan;
  plan.actions.assign(500, FilterAction::kAllow);
  plan.tests.push_back({5, 0, {}});
  const std::vector<sock_filter> program = compile_filter(plan);
  for (uint32_t arch : {uint32_t{AUDIT_ARCH_I386}, uint32_t{AUDIT_ARCH_AARCH64}, 0U, ~0U,
                        uint32_t{AUDIT_ARCH_X86_64} ^ 1U}) {
    for (long nr = 0; nr <= 600; ++nr) ASSERT_EQ(run_bpf(program, call(nr, {}, arch)), kEnosys);
  }
}

TEST(CompileFilter, TestsOfValuesLookAtTheLowHalf) {
  FilterPlan plan;
  plan.actions.assign(30, FilterAction::kAllow);
  for (unsigned argument = 0; argument < 6; ++argument) {
    plan.tests = {{16, argument, {7, 0xfffffff0}}};
    const std::vector<sock_filter> program = compile_filter(plan);
    seccomp_data data = call(16);
    EXPECT_EQ(run_bpf(program, data), kAllow);
    for (uint64_t high : {0ULL, 1ULL << 32, ~0ULL << 32}) {
      data.args[argument] = high | 7;
      EXPECT_EQ(run_bpf(program, data), kTrace);
      data.args[argument] = high | 0xfffffff0;
      EXPECT_EQ(run_bpf(program, data), kTrace);
      data.args[argument] = high | 8;
      EXPECT_EQ(run_bpf(program, data), kAllow);
    }
    data = call(16, {7, 7, 7, 7, 7, 7});
    data.args[argument] = 0;
    EXPECT_EQ(run_bpf(program, data), kAllow);
    EXPECT_EQ(run_bpf(program, call(15, {7, 7, 7, 7, 7, 7})), kAllow);
    EXPECT_EQ(run_bpf(program, call(17, {7, 7, 7, 7, 7, 7})), kAllow);
  }
}

TEST(CompileFilter, TestsOfBits) {
  FilterPlan plan;
  plan.actions.assign(60, FilterAction::kAllow);
  plan.tests = {{56, 0, {}, 0x00800000}};
  const std::vector<sock_filter> program = compile_filter(plan);
  EXPECT_EQ(run_bpf(program, call(56)), kAllow);
  EXPECT_EQ(run_bpf(program, call(56, {0x00800000})), kTrace);
  EXPECT_EQ(run_bpf(program, call(56, {0xffffffff})), kTrace);
  EXPECT_EQ(run_bpf(program, call(56, {0xff7fffff})), kAllow);
  EXPECT_EQ(run_bpf(program, call(56, {0, 0x00800000})), kAllow);
  EXPECT_EQ(run_bpf(program, call(57, {0x00800000})), kAllow);
}

TEST(CompileFilter, TestsOfPointersLookAtBothHalves) {
  FilterPlan plan;
  plan.actions.assign(30, FilterAction::kTrace);
  plan.tests = {{9, 4, {}}};
  const std::vector<sock_filter> program = compile_filter(plan);
  EXPECT_EQ(run_bpf(program, call(9, {1, 1, 1, 1, 0, 1})), kAllow);
  EXPECT_EQ(run_bpf(program, call(9, {0, 0, 0, 0, 1})), kTrace);
  EXPECT_EQ(run_bpf(program, call(9, {0, 0, 0, 0, 1ULL << 32})), kTrace);
  EXPECT_EQ(run_bpf(program, call(9, {0, 0, 0, 0, 0x7fff12345000})), kTrace);
  EXPECT_EQ(run_bpf(program, call(8)), kTrace);
  EXPECT_EQ(run_bpf(program, call(10)), kTrace);
}

/// The program of the real table does what its plan says, for every need that a view can have.
TEST(TableFilter, ProgramAndPlanAgree) {
  for (unsigned traps = 0; traps < 64; ++traps) {
    const FilterPlan plan = filter_plan(traps);
    const std::vector<sock_filter> program = compile_filter(plan);
    ASSERT_LE(program.size(), size_t{BPF_MAXINSNS});
    for (long nr = 0; nr <= 600; ++nr) {
      const auto index = static_cast<size_t>(nr);
      const ArgumentTest* test = nullptr;
      for (const ArgumentTest& one : plan.tests) {
        if (one.nr == nr) test = &one;
      }
      if (test == nullptr) {
        const uint32_t expected =
            index < plan.actions.size() ? value_of(plan.actions[index]) : kEnosys;
        ASSERT_EQ(run_bpf(program, call(nr)), expected) << nr << " for " << traps;
        continue;
      }
      seccomp_data data = call(nr);
      if (test->pass != 0) {
        ASSERT_EQ(run_bpf(program, data), kTrace) << nr;
        for (uint64_t bit = 1; bit != 0; bit <<= 1) {
          data.args[test->argument] = test->pass ^ bit;
          ASSERT_EQ(run_bpf(program, data), kTrace) << nr << " " << bit;
        }
        data.args[test->argument] = test->pass;
        ASSERT_EQ(run_bpf(program, data), kAllow) << nr;
        continue;
      }
      const uint32_t none = test->values.empty() || test->values[0] != 0 ? kAllow : kTrace;
      ASSERT_EQ(run_bpf(program, data), none) << nr;
      data.args[test->argument] = test->values.empty() ? 0x7fff00000000 : test->values[0];
      if (test->bits != 0) data.args[test->argument] = test->bits;
      ASSERT_EQ(run_bpf(program, data), kTrace) << nr;
    }
    for (long nr : kStrangers) ASSERT_EQ(run_bpf(program, call(nr)), kEnosys) << nr;
  }
}

TEST(TableFilter, WhatNamesNobodyIsNotStopped) {
  const std::vector<sock_filter> paths =
      compile_filter(filter_plan(static_cast<unsigned>(Trap::kPaths)));
  EXPECT_EQ(run_bpf(paths, call(SYS_bpf, {BPF_OBJ_PIN})), kTrace);
  EXPECT_EQ(run_bpf(paths, call(SYS_bpf, {BPF_OBJ_GET})), kTrace);
  EXPECT_EQ(run_bpf(paths, call(SYS_bpf, {BPF_MAP_CREATE})), kAllow);
  EXPECT_EQ(run_bpf(paths, call(SYS_sendto, {3, 4096, 1, 0, 0})), kAllow);
  EXPECT_EQ(run_bpf(paths, call(SYS_sendto, {3, 4096, 1, 0, 4096})), kTrace);
  EXPECT_EQ(run_bpf(paths, call(SYS_accept, {3, 0, 0})), kAllow);
  EXPECT_EQ(run_bpf(paths, call(SYS_accept4, {3, 4096, 4096})), kTrace);
  EXPECT_EQ(run_bpf(paths, call(SYS_recvfrom, {3, 4096, 1, 0, 0, 0})), kAllow);
  EXPECT_EQ(run_bpf(paths, call(SYS_recvfrom, {3, 4096, 1, 0, 4096, 4096})), kTrace);
  EXPECT_EQ(run_bpf(paths, call(SYS_ioctl, {3, FS_IOC_SETFLAGS})), kAllow);
  const std::vector<sock_filter> objects =
      compile_filter(filter_plan(static_cast<unsigned>(Trap::kObjects)));
  EXPECT_EQ(run_bpf(objects, call(SYS_ioctl, {3, FS_IOC_SETFLAGS})), kTrace);
  EXPECT_EQ(run_bpf(objects, call(SYS_ioctl, {3, FS_IOC_FSSETXATTR})), kTrace);
  EXPECT_EQ(run_bpf(objects, call(SYS_ioctl, {3, FS_IOC_GETFLAGS})), kAllow);
  EXPECT_EQ(run_bpf(objects, call(SYS_ioctl, {3, 0x5401})), kAllow);
  EXPECT_EQ(run_bpf(paths, call(SYS_clone, {SIGCHLD})), kAllow);
  EXPECT_EQ(run_bpf(paths, call(SYS_clone, {SIGCHLD | CLONE_UNTRACED})), kTrace);
  // A view with devices of its own asks each request whose it is.
  const std::vector<sock_filter> devices = compile_filter(
      filter_plan(static_cast<unsigned>(Trap::kObjects) | static_cast<unsigned>(Trap::kDevices)));
  EXPECT_EQ(run_bpf(devices, call(SYS_ioctl, {3, 0x5401})), kTrace);
}

TEST(TableFilter, WhatAnImageAsksFor) {
  const std::vector<sock_filter> meta = compile_filter(
      filter_plan(static_cast<unsigned>(Trap::kObjects) | static_cast<unsigned>(Trap::kMeta)));
  EXPECT_EQ(run_bpf(meta, call(SYS_ioctl, {3, FS_IOC_GETFLAGS})), kTrace);
  EXPECT_EQ(run_bpf(meta, call(SYS_ioctl, {3, FS_IOC_FSGETXATTR})), kTrace);
  EXPECT_EQ(run_bpf(meta, call(SYS_ioctl, {3, FICLONE})), kAllow);
  EXPECT_EQ(run_bpf(meta, call(SYS_fgetxattr, {3})), kTrace);
  EXPECT_EQ(run_bpf(meta, call(SYS_flistxattr, {3})), kTrace);
  EXPECT_EQ(run_bpf(meta, call(SYS_mmap, {0, 1, 1, MAP_SHARED, 3})), kAllow);
  const std::vector<sock_filter> writes = compile_filter(
      filter_plan(static_cast<unsigned>(Trap::kObjects) | static_cast<unsigned>(Trap::kWrites)));
  EXPECT_EQ(run_bpf(writes, call(SYS_mmap, {0, 1, 1, MAP_SHARED, 3})), kTrace);
  EXPECT_EQ(run_bpf(writes, call(SYS_mmap, {0, 1, 1, MAP_SHARED_VALIDATE, 3})), kTrace);
  EXPECT_EQ(run_bpf(writes, call(SYS_mmap, {0, 1, 1, MAP_PRIVATE, 3})), kAllow);
  EXPECT_EQ(run_bpf(writes, call(SYS_ioctl, {3, FICLONE})), kTrace);
  EXPECT_EQ(run_bpf(writes, call(SYS_ioctl, {3, FICLONERANGE})), kTrace);
  EXPECT_EQ(run_bpf(writes, call(SYS_fgetxattr, {3})), kAllow);
}

TEST(TableFilter, AnEmptyViewStopsNothing) {
  const std::vector<sock_filter> program = compile_filter(filter_plan(0));
  for (long nr = 0; nr <= 600; ++nr) {
    ASSERT_NE(run_bpf(program, call(nr, {1, 1, 1, 1, 1, 1})), kTrace) << nr;
  }
}

}  // namespace
}  // namespace viewsh
