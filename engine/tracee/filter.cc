#include "tracee/filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace viewsh {

namespace {

struct Range {
  uint32_t first = 0;
  FilterAction action = FilterAction::kEnosys;
  const ArgumentTest* test = nullptr;
};

sock_filter statement(unsigned code, uint32_t k) { return {static_cast<uint16_t>(code), 0, 0, k}; }

sock_filter jump(unsigned code, uint32_t k, size_t yes, size_t no) {
  return {static_cast<uint16_t>(code), static_cast<uint8_t>(yes), static_cast<uint8_t>(no), k};
}

uint32_t return_value(FilterAction action) {
  switch (action) {
    case FilterAction::kAllow:
      return SECCOMP_RET_ALLOW;
    case FilterAction::kTrace:
      return SECCOMP_RET_TRACE;
    case FilterAction::kEnosys:
      break;
  }
  return SECCOMP_RET_ERRNO | ENOSYS;
}

using Program = std::vector<sock_filter>;

/// Where the low 32 bits of an argument are.
uint32_t argument_at(unsigned argument) {
  return static_cast<uint32_t>(offsetof(seccomp_data, args)) + 8 * argument;
}

void append_leaf(const Range& range, Program* out) {
  if (range.test != nullptr) {
    uint32_t offset = argument_at(range.test->argument);
    out->push_back(statement(BPF_LD | BPF_W | BPF_ABS, offset));
    if (range.test->pass != 0) {
      out->push_back(
          jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(range.test->pass), 1, 0));
      out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
      out->push_back(statement(BPF_LD | BPF_W | BPF_ABS, offset + 4));
      out->push_back(
          jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(range.test->pass >> 32), 1, 0));
      out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
      if (range.test->but_not != 0) {
        out->push_back(statement(BPF_LD | BPF_W | BPF_ABS, argument_at(range.test->other)));
        out->push_back(jump(BPF_JMP | BPF_JSET | BPF_K, range.test->but_not, 0, 1));
        out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
      }
    } else if (range.test->bits != 0) {
      out->push_back(jump(BPF_JMP | BPF_JSET | BPF_K, range.test->bits, 0, 1));
      out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
    } else if (range.test->values.empty()) {
      out->push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
      out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
      out->push_back(statement(BPF_LD | BPF_W | BPF_ABS, offset + 4));
      out->push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
      out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
    }
    for (uint32_t value : range.test->values) {
      out->push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
      out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE));
    }
    out->push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    return;
  }
  out->push_back(statement(BPF_RET | BPF_K, return_value(range.action)));
}

/// ranges[from, to): the number is in the accumulator.
void append_search(const std::vector<Range>& ranges, size_t from, size_t to, Program* out) {
  if (to - from == 1) {
    append_leaf(ranges[from], out);
    return;
  }
  size_t middle = (from + to) / 2;
  Program low;
  append_search(ranges, from, middle, &low);
  // A conditional jump reaches 255 instructions; a plain one follows for more.
  if (low.size() < 250) {
    out->push_back(jump(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, low.size(), 0));
  } else {
    out->push_back(jump(BPF_JMP | BPF_JGE | BPF_K, ranges[middle].first, 0, 1));
    out->push_back(statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(low.size())));
  }
  out->insert(out->end(), low.begin(), low.end());
  append_search(ranges, middle, to, out);
}

}  // namespace

std::vector<sock_filter> compile_filter(const FilterPlan& plan) {
  std::vector<Range> ranges;
  for (uint32_t nr = 0; nr < plan.actions.size(); ++nr) {
    const ArgumentTest* test = nullptr;
    for (const ArgumentTest& candidate : plan.tests) {
      if (candidate.nr == static_cast<int>(nr)) test = &candidate;
    }
    bool same = !ranges.empty() && test == nullptr && ranges.back().test == nullptr &&
                ranges.back().action == plan.actions[nr];
    if (!same) ranges.push_back({nr, plan.actions[nr], test});
  }
  ranges.push_back({static_cast<uint32_t>(plan.actions.size()), FilterAction::kEnosys, nullptr});
  Program out;
  out.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  out.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
  out.push_back(statement(BPF_RET | BPF_K, return_value(FilterAction::kEnosys)));
  out.push_back(statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  append_search(ranges, 0, ranges.size(), &out);
  return out;
}

Result<void> install_filter(const std::vector<sock_filter>& program) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Errno::last();
  sock_fprog prog{static_cast<unsigned short>(program.size()),
                  const_cast<sock_filter*>(program.data())};
  return from_libc(static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog)));
}

}  // namespace viewsh
