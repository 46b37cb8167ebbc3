// What would go round the view is refused in it; numbers that no kernel knows are ENOSYS
// everywhere.

#include <sched.h>
#include <sys/wait.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Refused = SyscallTest;

TEST_F(Refused, UnknownNumbers) {
  for (long number : {1000L, 2000L, 9999L, 0x3fffffffL, 387L, 423L}) {
    EXPECT_EQ(sys(number, 0, 0, 0, 0, 0, 0), -ENOSYS) << number;
  }
}

TEST_F(Refused, IoUring) {
  alignas(8) std::array<char, 120> parameters = {};
  long result = sys(SYS_io_uring_setup, 4, parameters.data());
  Fd ring(result);
  // An empty view shows what the host has: there is nothing to go round.
  if (!has_mounts()) GTEST_SKIP() << "only a view with mounts of its own refuses it: " << result;
  EXPECT_EQ(result, -ENOSYS);
  EXPECT_EQ(sys(SYS_io_uring_enter, -1, 0, 0, 0, nullptr, 0), -ENOSYS);
  EXPECT_EQ(sys(SYS_io_uring_register, -1, 0, nullptr, 0), -ENOSYS);
}

TEST_F(Refused, NewMountCalls) {
  if (!has_mounts()) GTEST_SKIP() << "only a view with mounts of its own refuses them";
  EXPECT_EQ(sys(SYS_fsopen, "tmpfs", 0), -ENOSYS);
  EXPECT_EQ(sys(SYS_open_tree, AT_FDCWD, ".", 0), -ENOSYS);
  EXPECT_EQ(sys(SYS_move_mount, -1, "", AT_FDCWD, ".", 4), -ENOSYS);
  EXPECT_EQ(sys(SYS_fsmount, -1, 0, 0), -ENOSYS);
  EXPECT_EQ(sys(SYS_fspick, AT_FDCWD, ".", 0), -ENOSYS);
}

// The x32 numbers and the 32-bit entry never show more than the view does.
TEST_F(Refused, OtherEntries) {
  if (!in_view()) GTEST_SKIP() << "only a view refuses them";
  constexpr long kX32 = 0x40000000;
  int status = run_child([] {
    long result = sys(kX32 + SYS_getpid);
    return result == -ENOSYS ? 0 : 1;
  });
  EXPECT_TRUE(exited_with(status, 0) || WIFSIGNALED(status)) << status;
  if (!has_mounts()) return;
  status = run_child([] {
    // open("/") by int 0x80: an address below 4 GB is needed, so the path is a null pointer;
    // a kernel that takes the call answers EFAULT, a view must not let it get so far.
    long result = 5;
    asm volatile("int $0x80"
                 : "+a"(result)
                 : "b"(0), "c"(0), "d"(0)
                 : "memory", "r8", "r9", "r10", "r11");
    return static_cast<int>(result) == -EFAULT ? 1 : 0;
  });
  EXPECT_TRUE(exited_with(status, 0) || WIFSIGNALED(status)) << status;
}

TEST_F(Refused, HandlesNeverLeadOut) {
  write_file("f", "content");
  struct {
    uint32_t bytes = 128;
    int32_t type = 0;
    std::array<unsigned char, 128> data = {};
  } handle;
  int mount_id = 0;
  long result = sys(SYS_name_to_handle_at, AT_FDCWD, "f", &handle, &mount_id, 0);
  EXPECT_TRUE(result == 0 || result == -EOPNOTSUPP || result == -ENOSYS) << result;
  if (::geteuid() != 0 && result == 0) {
    long fd = sys(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY);
    EXPECT_TRUE(fd == -EPERM || fd == -ENOSYS || fd == -EACCES || fd == -ESTALE || fd >= 0) << fd;
    Fd closes(fd);
  }
  EXPECT_EQ(sys(SYS_name_to_handle_at, AT_FDCWD, "none", &handle, &mount_id, 0) < 0, true);
}

/// In a user namespace of one's own chroot(2) is allowed.
TEST_F(Refused, AnotherRootNeedsTheCapability) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/f", "inside");
  write_file("f", "outside");
  int status = run_child([] {
    if (sys(SYS_unshare, CLONE_NEWUSER) != 0) return 77;
    if (sys(SYS_chroot, "none") != -ENOENT || sys(SYS_chroot, "f") != -ENOTDIR) return 1;
    if (sys(SYS_chroot, "d") != 0) return 2;
    if (read_file("/f") != "inside" || read_file("f") != "outside") return 3;
    if (sys(SYS_chdir, "/") != 0 || read_file("f") != "inside") return 4;
    if (read_file("../../f") != "inside") return 5;
    std::array<char, 64> cwd = {};
    return sys(SYS_getcwd, cwd.data(), 64) == 2 && cwd[0] == '/' ? 0 : 6;
  });
  if (exited_with(status, 77)) GTEST_SKIP() << "no user namespaces here";
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST_F(Refused, PrivilegedCallsOfAnOrdinaryUser) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may";
  EXPECT_EQ(sys(SYS_chroot, "."), -EPERM);
  long result = sys(SYS_mount, "none", ".", "tmpfs", 0, nullptr);
  EXPECT_TRUE(result == -EPERM || (in_view() && result == 0)) << result;
  EXPECT_EQ(sys(SYS_swapon, "f", 0), -EPERM);
  EXPECT_EQ(sys(SYS_acct, "f"), -EPERM);
  EXPECT_EQ(sys(SYS_pivot_root, ".", "."), -EPERM);
}

}  // namespace
}  // namespace viewsh_test
