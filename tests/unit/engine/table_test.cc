#include "syscalls/table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace viewsh {
namespace {

constexpr unsigned kAllTraps =
    static_cast<unsigned>(Trap::kPaths) | static_cast<unsigned>(Trap::kObjects) |
    static_cast<unsigned>(Trap::kQuota) | static_cast<unsigned>(Trap::kDevices) |
    static_cast<unsigned>(Trap::kRecord) | static_cast<unsigned>(Trap::kKept) |
    static_cast<unsigned>(Trap::kIdentity) | static_cast<unsigned>(Trap::kMeta) |
    static_cast<unsigned>(Trap::kWrites);

const Row* row_named(std::string_view name) {
  for (const Row& row : table()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

/// Name and number of every call in <asm/unistd_64.h>.
std::map<std::string, int> calls_of_the_headers() {
  std::map<std::string, int> out;
  std::ifstream file(VIEWSH_UNISTD_64);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string define;
    std::string name;
    int nr = -1;
    if (words >> define >> name >> nr && define == "#define" && name.starts_with("__NR_")) {
      out[name.substr(5)] = nr;
    }
  }
  return out;
}

TEST(Table, KnowsEveryCallOfTheKernelHeaders) {
  const std::map<std::string, int> calls = calls_of_the_headers();
  ASSERT_GT(calls.size(), 350U) << VIEWSH_UNISTD_64;
  for (const auto& [name, nr] : calls) {
    const Row* row = row_of(nr);
    ASSERT_NE(row, nullptr) << name << " (" << nr << ") is not classed";
    EXPECT_EQ(row->name, name);
    EXPECT_EQ(row->nr, nr);
  }
}

TEST(Table, IsSortedAndEveryNameAndNumberIsThereOnce) {
  int last = -1;
  std::set<std::string_view> names;
  for (const Row& row : table()) {
    EXPECT_GT(row.nr, last) << row.name;
    last = row.nr;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(row_of(row.nr), &row);
  }
}

TEST(Table, NumbersThatItDoesNotKnow) {
  const FilterPlan plan = filter_plan(kAllTraps);
  EXPECT_EQ(row_of(-1), nullptr);
  EXPECT_EQ(row_of(static_cast<long>(plan.actions.size())), nullptr);
  EXPECT_EQ(row_of(0x40000000), nullptr);
  size_t unknown = 0;
  for (size_t nr = 0; nr < plan.actions.size(); ++nr) {
    if (row_of(static_cast<long>(nr)) != nullptr) continue;
    ++unknown;
    EXPECT_EQ(plan.actions[nr], FilterAction::kEnosys) << nr;
  }
  EXPECT_GT(unknown, 0U);  // the hole before 424, where the numbers of all architectures begin
}

/// Numbers that are newer than the headers that this may be built with, up to Linux 6.18.
TEST(Table, KnowsTheNewestCalls) {
  const std::map<int, std::string_view> newest = {
      {335, "uretprobe"},         {336, "uprobe"},
      {451, "cachestat"},         {452, "fchmodat2"},
      {453, "map_shadow_stack"},  {454, "futex_wake"},
      {455, "futex_wait"},        {456, "futex_requeue"},
      {457, "statmount"},         {458, "listmount"},
      {459, "lsm_get_self_attr"}, {460, "lsm_set_self_attr"},
      {461, "lsm_list_modules"},  {462, "mseal"},
      {463, "setxattrat"},        {464, "getxattrat"},
      {465, "listxattrat"},       {466, "removexattrat"},
      {467, "open_tree_attr"},    {468, "file_getattr"},
      {469, "file_setattr"}};
  for (const auto& [nr, name] : newest) {
    ASSERT_NE(row_of(nr), nullptr) << nr;
    EXPECT_EQ(row_of(nr)->name, name);
  }
}

/// Calls that name a file, kept by hand from the manual's section 2.
constexpr std::string_view kTakePaths[] = {"open",
                                           "stat",
                                           "lstat",
                                           "access",
                                           "execve",
                                           "truncate",
                                           "chdir",
                                           "rename",
                                           "mkdir",
                                           "rmdir",
                                           "creat",
                                           "link",
                                           "unlink",
                                           "symlink",
                                           "readlink",
                                           "chmod",
                                           "chown",
                                           "lchown",
                                           "utime",
                                           "mknod",
                                           "uselib",
                                           "statfs",
                                           "pivot_root",
                                           "chroot",
                                           "acct",
                                           "mount",
                                           "umount2",
                                           "swapon",
                                           "swapoff",
                                           "quotactl",
                                           "setxattr",
                                           "lsetxattr",
                                           "getxattr",
                                           "lgetxattr",
                                           "listxattr",
                                           "llistxattr",
                                           "removexattr",
                                           "lremovexattr",
                                           "utimes",
                                           "inotify_add_watch",
                                           "openat",
                                           "mkdirat",
                                           "mknodat",
                                           "fchownat",
                                           "futimesat",
                                           "newfstatat",
                                           "unlinkat",
                                           "renameat",
                                           "linkat",
                                           "symlinkat",
                                           "readlinkat",
                                           "fchmodat",
                                           "faccessat",
                                           "utimensat",
                                           "fanotify_mark",
                                           "name_to_handle_at",
                                           "open_by_handle_at",
                                           "renameat2",
                                           "execveat",
                                           "statx",
                                           "open_tree",
                                           "move_mount",
                                           "fsconfig",
                                           "fspick",
                                           "openat2",
                                           "faccessat2",
                                           "mount_setattr",
                                           "fchmodat2",
                                           "setxattrat",
                                           "getxattrat",
                                           "listxattrat",
                                           "removexattrat",
                                           "open_tree_attr",
                                           "file_getattr",
                                           "file_setattr",
                                           "bind",
                                           "connect",
                                           "sendto",
                                           "sendmsg",
                                           "sendmmsg",
                                           "bpf",
                                           "nfsservctl"};

/// Calls that answer with a path, or with names of files.
constexpr std::string_view kGivePaths[] = {"getcwd",    "getdents",    "getdents64",  "accept",
                                           "accept4",   "getsockname", "getpeername", "recvfrom",
                                           "statmount", "listmount"};

TEST(Table, NoCallWithAPathIsSafe) {
  const FilterPlan plan = filter_plan(static_cast<unsigned>(Trap::kPaths));
  auto check = [&](std::string_view name) {
    const Row* row = row_named(name);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_TRUE(row->trap == Trap::kPaths || row->trap == Trap::kEnosys) << name;
    EXPECT_NE(plan.actions[static_cast<size_t>(row->nr)], FilterAction::kAllow) << name;
    EXPECT_EQ(row->handler != nullptr, row->trap == Trap::kPaths) << name;
  };
  for (std::string_view name : kTakePaths) check(name);
  for (std::string_view name : kGivePaths) check(name);
}

TEST(Table, NewMountInterfaceAndRingsAreNotThere) {
  const FilterPlan plan = filter_plan(0);
  for (std::string_view name : {"io_uring_setup", "io_uring_enter", "io_uring_register",
                                "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig",
                                "fsmount", "fspick", "mount_setattr", "statmount", "listmount"}) {
    const Row* row = row_named(name);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(row->trap, Trap::kEnosys) << name;
    // Not even where nothing else is trapped.
    EXPECT_EQ(plan.actions[static_cast<size_t>(row->nr)], FilterAction::kEnosys) << name;
  }
}

TEST(Table, ARowWithAHandlerIsTrappedWhenItsGroupIsOn) {
  for (const Row& row : table()) {
    const auto index = static_cast<size_t>(row.nr);
    if (row.handler == nullptr) {
      EXPECT_TRUE(row.trap == Trap::kSafe || row.trap == Trap::kEnosys) << row.name;
      for (unsigned traps = 0; traps <= kAllTraps; ++traps) {
        EXPECT_NE(filter_plan(traps).actions[index], FilterAction::kTrace) << row.name;
      }
      continue;
    }
    const auto group = static_cast<unsigned>(row.trap) |
                       (row.name == "ioctl" ? static_cast<unsigned>(Trap::kDevices) : 0U) |
                       (row.name == "pwritev2" ? static_cast<unsigned>(Trap::kKept) : 0U);
    // These are traced by a filter of their own, which a process gets when it needs it.
    EXPECT_EQ((group & kAllTraps) != 0U, row.trap != Trap::kCloses) << row.name;
    for (unsigned traps = 0; traps <= kAllTraps; ++traps) {
      EXPECT_EQ(filter_plan(traps).actions[index] == FilterAction::kTrace, (traps & group) != 0)
          << row.name << " for " << traps;
    }
  }
}

/// An argument test stands for a row that is trapped, and only while its group is on.
TEST(Table, ArgumentTestsBelongToTrappedRows) {
  for (unsigned traps = 0; traps <= kAllTraps; ++traps) {
    const FilterPlan plan = filter_plan(traps);
    std::set<int> seen;
    for (const ArgumentTest& test : plan.tests) {
      const Row* row = row_of(test.nr);
      ASSERT_NE(row, nullptr) << test.nr;
      EXPECT_EQ(plan.actions[static_cast<size_t>(test.nr)], FilterAction::kTrace) << row->name;
      EXPECT_LT(test.argument, 6U);
      EXPECT_TRUE(seen.insert(test.nr).second) << row->name;
    }
  }
}

}  // namespace
}  // namespace viewsh
