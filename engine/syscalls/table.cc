#include "syscalls/table.h"

#include <linux/fs.h>
#include <linux/sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "syscalls/handlers.h"
#include "syscalls/writing.h"
#include "tracee/call_site.h"
#include "tracee/event.h"
#include "tracee/lookup_layout.h"

namespace viewsh {

namespace {

constexpr Row kRows[] = {
#include "syscalls/table_rows.inc"
};

constexpr int kLastNumber = kRows[std::size(kRows) - 1].nr;

}  // namespace

std::span<const Row> table() { return kRows; }

const Row* row_of(long nr) {
  static const auto index = [] {
    std::array<const Row*, kLastNumber + 1> rows{};
    for (const Row& row : kRows) rows[static_cast<size_t>(row.nr)] = &row;
    return rows;
  }();
  if (nr < 0 || nr > kLastNumber) return nullptr;
  return index[static_cast<size_t>(nr)];
}

namespace {

/// The calls that look a name up, as far as they can be made by LookupCode.
void let_lookups_through(FilterPlan* plan) {
  constexpr unsigned kLast = 5;
  for (int nr : {SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_readlinkat, SYS_getdents64,
                 SYS_getxattr, SYS_lgetxattr, SYS_listxattr, SYS_llistxattr}) {
    plan->tests.push_back({.nr = nr, .argument = kLast, .values = {}, .pass = kNativeLookup});
  }
  plan->tests.push_back({.nr = SYS_openat,
                         .argument = kLast,
                         .values = {},
                         .pass = kNativeLookup,
                         .other = 2,
                         .but_not = kNoNativeOpen});
}

constexpr int kIoctl = 16;
constexpr int kPwritev2 = 328;

bool has(unsigned traps, Trap trap) { return (traps & static_cast<unsigned>(trap)) != 0; }

FilterAction action_of(const Row& row, unsigned traps) {
  // A request to a device of the view is the device's to answer.
  if (row.nr == kIoctl && has(traps, Trap::kDevices)) return FilterAction::kTrace;
  // A single write of it may ask to be on disk.
  if (row.nr == kPwritev2 && has(traps, Trap::kKept)) return FilterAction::kTrace;
  if (row.trap == Trap::kEnosys) return FilterAction::kEnosys;
  return has(traps, row.trap) ? FilterAction::kTrace : FilterAction::kAllow;
}

/// Requests that change an inode although the descriptor is open for reading only.
std::vector<uint32_t> ioctl_requests(unsigned traps) {
  std::vector<uint32_t> requests = {static_cast<uint32_t>(FS_IOC_SETFLAGS),
                                    static_cast<uint32_t>(FS_IOC_SETVERSION),
                                    static_cast<uint32_t>(FS_IOC_FSSETXATTR)};
  if (has(traps, Trap::kMeta)) {
    requests.push_back(static_cast<uint32_t>(FS_IOC_GETFLAGS));
    requests.push_back(static_cast<uint32_t>(FS_IOC_FSGETXATTR));
  }
  if (has(traps, Trap::kWrites))
    requests.insert(requests.end(), std::begin(kWritingRequests), std::end(kWritingRequests));
  return requests;
}

/// Calls that name a file, or a task of the view, only with some arguments.
void add_path_tests(FilterPlan* plan) {
  // BPF_OBJ_PIN and BPF_OBJ_GET name files; the other commands don't.
  constexpr int kBpf = 321;
  plan->tests.push_back({kBpf, 0, {6, 7}});
  constexpr int kPtrace = 101;
  plan->tests.push_back({kPtrace, 0, {static_cast<uint32_t>(kAskForView)}});
  constexpr int kPrctl = 157;
  plan->tests.push_back(
      {kPrctl, 0, {PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_SECCOMP, PR_SET_SECCOMP}});
  constexpr int kClone = 56;
  plan->tests.push_back({kClone, 0, {}, CLONE_UNTRACED | CLONE_NEWNS});
  // send(2) names nobody.
  constexpr int kSendto = 44;
  plan->tests.push_back({kSendto, 4, {}});
  // recv(2), and accept(2) of who doesn't ask for the peer's name.
  constexpr int kRecvfrom = 45;
  constexpr int kAccept = 43;
  constexpr int kAccept4 = 288;
  plan->tests.push_back({kRecvfrom, 4, {}});
  plan->tests.push_back({kAccept, 1, {}});
  plan->tests.push_back({kAccept4, 1, {}});
}

}  // namespace

FilterPlan filter_plan(unsigned traps, bool native_lookups) {
  constexpr int kFstat = 5;
  constexpr int kMmap = 9;
  constexpr int kMsync = 26;
  FilterPlan plan;
  plan.actions.assign(kLastNumber + 1, FilterAction::kEnosys);
  for (const Row& row : kRows) plan.actions[static_cast<size_t>(row.nr)] = action_of(row, traps);
  if (has(traps, Trap::kObjects) && !has(traps, Trap::kDevices))
    plan.tests.push_back({kIoctl, 1, ioctl_requests(traps)});
  if (has(traps, Trap::kWrites)) plan.tests.push_back({kMmap, 3, {}, MAP_SHARED});
  if (has(traps, Trap::kObjects)) {
    plan.tests.push_back(
        {.nr = kFstat, .argument = 2, .values = {}, .bits = 0, .pass = kNativeFstat});
  }
  if (has(traps, Trap::kKept)) {
    plan.tests.push_back({kMsync, 2, {}, MS_SYNC});
    if (!has(traps, Trap::kQuota)) plan.tests.push_back({kPwritev2, 5, {}, RWF_DSYNC | RWF_SYNC});
  }
  if (has(traps, Trap::kPaths)) add_path_tests(&plan);
  if (native_lookups) let_lookups_through(&plan);
  return plan;
}

}  // namespace viewsh
