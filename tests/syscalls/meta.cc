// chmod, chown, utimensat and its ancestors, truncate, extended attributes.

#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Meta = SyscallTest;

TEST_F(Meta, ChmodVariants) {
  write_file("f", "");
  ASSERT_EQ(::symlink("f", "link"), 0);
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_chmod, "f", 0600), 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0600U);
  EXPECT_EQ(sys(SYS_fchmod, fd.get(), 0751), 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0751U);
  EXPECT_EQ(sys(SYS_fchmodat, AT_FDCWD, "link", 0640), 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0640U);
  EXPECT_EQ(sys(SYS_chmod, "f", 06755), 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 06755U);
  EXPECT_EQ(sys(SYS_chmod, "none", 0644), -ENOENT);
  Fd path = open_fd("f", O_PATH);
  EXPECT_EQ(sys(SYS_fchmod, path.get(), 0600), -EBADF);
  EXPECT_EQ(sys(SYS_chmod, ("/proc/self/fd/" + std::to_string(path.get())).c_str(), 0604), 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0604U);
}

TEST_F(Meta, NewChmod) {
  write_file("f", "");
  ASSERT_EQ(::symlink("f", "link"), 0);
  long result = sys(kFchmodat2, AT_FDCWD, "f", 0600, 0);
  if (result == -ENOSYS) GTEST_SKIP() << "this kernel has no fchmodat2";
  EXPECT_EQ(result, 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0600U);
  EXPECT_EQ(sys(kFchmodat2, AT_FDCWD, "link", 0777, AT_SYMLINK_NOFOLLOW), -EOPNOTSUPP);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0600U);
  Fd path = open_fd("f", O_PATH);
  EXPECT_EQ(sys(kFchmodat2, path.get(), "", 0644, AT_EMPTY_PATH), 0);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0644U);
}

/// With AT_EMPTY_PATH a descriptor of O_PATH is enough to change what it leads to: in a
/// copy-on-write view a copy.
TEST_F(Meta, ThroughDescriptorsThatArePathsOnly) {
  write_file("f", "", 0600);
  std::vector<std::string> names = {"f"};
  const char* base = ::getenv("TMPDIR");
  std::string lower = std::string(base == nullptr ? "" : base) + "/lower";
  if (exists(lower)) names.push_back(lower);
  const timespec times[2] = {{1000000000, 0}, {1000000001, 0}};
  for (const std::string& name : names) {
    Fd path = open_fd(name, O_PATH);
    EXPECT_EQ(sys(SYS_fchmod, path.get(), 0640), -EBADF);
    EXPECT_EQ(sys(SYS_fchown, path.get(), ::getuid(), ::getgid()), -EBADF);
    EXPECT_EQ(sys(SYS_utimensat, path.get(), nullptr, times, 0), -EBADF);
    long changed = sys(kFchmodat2, path.get(), "", 0604, AT_EMPTY_PATH);
    EXPECT_TRUE(changed == 0 || changed == -ENOSYS) << changed;
    if (changed == 0) {
      EXPECT_EQ(stat_of(name).st_mode, S_IFREG | 0604U);
    }
    EXPECT_EQ(sys(SYS_fchownat, path.get(), "", ::getuid(), ::getgid(), AT_EMPTY_PATH), 0);
    EXPECT_EQ(sys(SYS_utimensat, path.get(), "", times, AT_EMPTY_PATH), 0);
    EXPECT_EQ(stat_of(name).st_mtim.tv_sec, 1000000001);
    EXPECT_EQ(stat_of(name).st_atim.tv_sec, 1000000000);
  }
  ASSERT_EQ(::symlink("f", "link"), 0);
  Fd link(sys(SYS_open, "link", O_PATH | O_NOFOLLOW));
  long refused = sys(kFchmodat2, link.get(), "", 0600, AT_EMPTY_PATH);
  EXPECT_TRUE(refused == -EOPNOTSUPP || refused == -ENOSYS) << refused;
  EXPECT_EQ(sys(SYS_fchownat, link.get(), "", ::getuid(), ::getgid(), AT_EMPTY_PATH), 0);
  EXPECT_EQ(sys(SYS_utimensat, link.get(), "", times, AT_EMPTY_PATH), 0);
}

TEST_F(Meta, ChownVariants) {
  write_file("f", "");
  ASSERT_EQ(::symlink("none", "dangling"), 0);
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_chown, "f", uid, gid), 0);
  EXPECT_EQ(sys(SYS_chown, "f", -1, -1), 0);
  EXPECT_EQ(sys(SYS_fchown, fd.get(), uid, -1), 0);
  EXPECT_EQ(sys(SYS_lchown, "dangling", uid, gid), 0);
  EXPECT_EQ(sys(SYS_chown, "dangling", uid, gid), -ENOENT);
  EXPECT_EQ(sys(SYS_fchownat, AT_FDCWD, "dangling", uid, gid, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(sys(SYS_fchownat, AT_FDCWD, "f", uid, gid, 0x10000), -EINVAL);
  if (uid != 0) {
    EXPECT_EQ(sys(SYS_chown, "/etc/passwd", uid, -1), refused(EPERM));
    EXPECT_EQ(sys(SYS_chown, "f", 0, -1), refused(EPERM));
  }
}

TEST_F(Meta, TimesToTheNanosecond) {
  write_file("f", "");
  ASSERT_EQ(::symlink("f", "link"), 0);
  std::array<timespec, 2> times = {{{1000000000, 123456789}, {1100000000, 987654321}}};
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "f", times.data(), 0), 0);
  struct stat st = stat_of("f");
  EXPECT_EQ(st.st_atim.tv_sec, 1000000000);
  EXPECT_EQ(st.st_atim.tv_nsec, 123456789);
  EXPECT_EQ(st.st_mtim.tv_sec, 1100000000);
  EXPECT_EQ(st.st_mtim.tv_nsec, 987654321);
  std::array<timespec, 2> other = {{{7, 0}, {8, 0}}};
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "link", other.data(), AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_EQ(lstat_of("link").st_mtim.tv_sec, 8);
  EXPECT_EQ(stat_of("f").st_mtim.tv_sec, 1100000000);
}

TEST_F(Meta, TimesNowAndOmitted) {
  write_file("f", "");
  std::array<timespec, 2> times = {{{1000, 0}, {2000, 0}}};
  ASSERT_EQ(sys(SYS_utimensat, AT_FDCWD, "f", times.data(), 0), 0);
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_nsec = UTIME_NOW;
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "f", times.data(), 0), 0);
  EXPECT_EQ(stat_of("f").st_atim.tv_sec, 1000);
  EXPECT_GT(stat_of("f").st_mtim.tv_sec, 1000000000);
  Fd fd = open_fd("f", O_RDONLY);
  times = {{{30, 0}, {40, 0}}};
  EXPECT_EQ(sys(SYS_utimensat, fd.get(), nullptr, times.data(), 0), 0);  // futimens
  EXPECT_EQ(stat_of("f").st_mtim.tv_sec, 40);
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "f", nullptr, 0), 0);
  EXPECT_GT(stat_of("f").st_mtim.tv_sec, 1000000000);
  times[0].tv_nsec = 1000000000;
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "f", times.data(), 0), -EINVAL);
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "none", nullptr, 0), -ENOENT);
  EXPECT_EQ(sys(SYS_utimensat, fd.get(), "", nullptr, AT_EMPTY_PATH), 0);
}

TEST_F(Meta, OlderWaysToSetTimes) {
  write_file("f", "");
  utimbuf seconds = {100, 200};
  EXPECT_EQ(sys(SYS_utime, "f", &seconds), 0);
  EXPECT_EQ(stat_of("f").st_mtim.tv_sec, 200);
  std::array<timeval, 2> micro = {{{300, 1}, {400, 2}}};
  EXPECT_EQ(sys(SYS_utimes, "f", micro.data()), 0);
  EXPECT_EQ(stat_of("f").st_mtim.tv_sec, 400);
  EXPECT_EQ(stat_of("f").st_mtim.tv_nsec, 2000);
  micro = {{{500, 0}, {600, 0}}};
  EXPECT_EQ(sys(SYS_futimesat, AT_FDCWD, "f", micro.data()), 0);
  EXPECT_EQ(stat_of("f").st_mtim.tv_sec, 600);
  Fd fd = open_fd("f", O_RDONLY);
  micro = {{{700, 0}, {800, 0}}};
  EXPECT_EQ(sys(SYS_futimesat, fd.get(), nullptr, micro.data()), 0);
  EXPECT_EQ(stat_of("f").st_mtim.tv_sec, 800);
}

TEST_F(Meta, DirectoryTimesFollowItsNames) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  std::array<timespec, 2> old = {{{1000, 0}, {1000, 0}}};
  ASSERT_EQ(sys(SYS_utimensat, AT_FDCWD, "d", old.data(), 0), 0);
  write_file("d/f", "");
  EXPECT_GT(stat_of("d").st_mtim.tv_sec, 1000);
  ASSERT_EQ(sys(SYS_utimensat, AT_FDCWD, "d", old.data(), 0), 0);
  EXPECT_EQ(read_file("d/f"), "");
  EXPECT_EQ(stat_of("d").st_mtim.tv_sec, 1000);
  write_file("d/f", "content only");
  EXPECT_EQ(stat_of("d").st_mtim.tv_sec, 1000);
  ASSERT_EQ(::unlink("d/f"), 0);
  EXPECT_GT(stat_of("d").st_mtim.tv_sec, 1000);
}

TEST_F(Meta, TruncateVariants) {
  write_file("f", "0123456789");
  EXPECT_EQ(sys(SYS_truncate, "f", 4), 0);
  EXPECT_EQ(read_file("f"), "0123");
  Fd fd = open_fd("f", O_RDWR);
  EXPECT_EQ(sys(SYS_ftruncate, fd.get(), 6), 0);
  EXPECT_EQ(read_file("f"), std::string("0123\0\0", 6));
  Fd reader = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_ftruncate, reader.get(), 0), -EINVAL);
  EXPECT_EQ(sys(SYS_truncate, "f", -1), -EINVAL);
  EXPECT_EQ(sys(SYS_truncate, "none", 0), -ENOENT);
  EXPECT_EQ(sys(SYS_truncate, ".", 0), -EISDIR);
  ASSERT_EQ(::symlink("f", "link"), 0);
  EXPECT_EQ(sys(SYS_truncate, "link", 1), 0);
  EXPECT_EQ(read_file("f"), "0");
  if (::geteuid() != 0) {
    ASSERT_EQ(::chmod("f", 0444), 0);
    EXPECT_EQ(sys(SYS_truncate, "f", 0), refused(EACCES));
  }
}

TEST_F(Meta, WritingClearsSetUserId) {
  if (::geteuid() == 0) GTEST_SKIP() << "root keeps the bit";
  write_file("f", "program");
  ASSERT_EQ(::chmod("f", 04755), 0);
  Fd fd = open_fd("f", O_WRONLY);
  EXPECT_EQ(::write(fd.get(), "x", 1), 1);
  EXPECT_EQ(stat_of("f").st_mode, S_IFREG | 0755U);
}

class XattrTest : public SyscallTest {
 protected:
  void SetUp() override {
    SyscallTest::SetUp();
    write_file("f", "");
    long result = sys(SYS_setxattr, "f", "user.probe", "x", 1, 0);
    if (result == -EOPNOTSUPP) GTEST_SKIP() << "this file system has no user attributes";
    ASSERT_EQ(result, 0);
    ASSERT_EQ(sys(SYS_removexattr, "f", "user.probe"), 0);
  }
};

TEST_F(XattrTest, SetGetListRemove) {
  EXPECT_EQ(sys(SYS_setxattr, "f", "user.one", "value", 5, XATTR_CREATE), 0);
  EXPECT_EQ(sys(SYS_setxattr, "f", "user.one", "other", 5, XATTR_CREATE), -EEXIST);
  EXPECT_EQ(sys(SYS_setxattr, "f", "user.two", "", 0, XATTR_REPLACE), -ENODATA);
  EXPECT_EQ(sys(SYS_setxattr, "f", "user.two", "", 0, 0), 0);
  Guarded<std::array<char, 8>> value;
  EXPECT_EQ(sys(SYS_getxattr, "f", "user.one", (*value).data(), 8), 5);
  EXPECT_EQ(std::string((*value).data(), 5), "value");
  EXPECT_TRUE(value.intact());
  EXPECT_EQ(sys(SYS_getxattr, "f", "user.one", (*value).data(), 2), -ERANGE);
  EXPECT_EQ(sys(SYS_getxattr, "f", "user.one", nullptr, 0), 5);
  EXPECT_EQ(sys(SYS_getxattr, "f", "user.none", (*value).data(), 8), -ENODATA);
  std::array<char, 256> list = {};
  long n = sys(SYS_listxattr, "f", list.data(), list.size());
  std::string names(list.data(), static_cast<size_t>(n > 0 ? n : 0));
  EXPECT_NE(names.find("user.one"), std::string::npos);
  EXPECT_NE(names.find("user.two"), std::string::npos);
  EXPECT_EQ(sys(SYS_listxattr, "f", list.data(), 1), -ERANGE);
  EXPECT_EQ(sys(SYS_removexattr, "f", "user.one"), 0);
  EXPECT_EQ(sys(SYS_removexattr, "f", "user.one"), -ENODATA);
}

/// Linux looks at the arguments before the path since 6.13, and after it before that.
TEST_F(XattrTest, ErrorsComeInTheKernelsOrder) {
  const bool last = linux_is_at_least(6, 13);
  const auto either = [&](long argument) { return last ? argument : -ENOENT; };
  const std::string long_name = "user." + std::string(300, 'x');
  EXPECT_EQ(sys(SYS_setxattr, "none", "", "x", 1, 0), either(-ERANGE));
  EXPECT_EQ(sys(SYS_lsetxattr, "none", long_name.c_str(), "x", 1, 0), either(-ERANGE));
  EXPECT_EQ(sys(SYS_setxattr, "none", "", "x", 1, 99), either(-EINVAL));
  EXPECT_EQ(sys(SYS_setxattr, "none", "user.x", "x", 65537, 0), either(-E2BIG));
  EXPECT_EQ(sys(SYS_setxattr, "none", "user.x", 1, 1, 0), either(-EFAULT));
  EXPECT_EQ(sys(SYS_setxattr, "none", 1, "x", 1, 0), either(-EFAULT));
  EXPECT_EQ(sys(SYS_removexattr, "none", ""), either(-ERANGE));
  EXPECT_EQ(sys(SYS_lremovexattr, "none", ""), either(-ERANGE));
  EXPECT_EQ(sys(SYS_getxattr, "none", "", nullptr, 0), either(-ERANGE));
  EXPECT_EQ(sys(SYS_lgetxattr, "none", "", nullptr, 0), either(-ERANGE));
  EXPECT_EQ(sys(SYS_listxattr, "none", nullptr, 0), -ENOENT);
  EXPECT_EQ(sys(SYS_setxattr, "f", "", "x", 1, 0), -ERANGE);
  EXPECT_EQ(sys(SYS_setxattr, "f", "user.x", "x", 1, 99), -EINVAL);
  EXPECT_EQ(sys(SYS_removexattr, "f", ""), -ERANGE);
  EXPECT_EQ(sys(SYS_setxattr, "none", "user.x", "x", 1, 0), -ENOENT);
}

TEST_F(XattrTest, ByDescriptorAndByLink) {
  ASSERT_EQ(::symlink("f", "link"), 0);
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_fsetxattr, fd.get(), "user.fd", "1", 1, 0), 0);
  std::array<char, 8> value = {};
  EXPECT_EQ(sys(SYS_getxattr, "link", "user.fd", value.data(), 8), 1);
  EXPECT_EQ(sys(SYS_fgetxattr, fd.get(), "user.fd", value.data(), 8), 1);
  EXPECT_EQ(sys(SYS_lgetxattr, "link", "user.fd", value.data(), 8), -ENODATA);
  EXPECT_EQ(sys(SYS_lsetxattr, "link", "user.fd", "1", 1, 0), -EPERM);
  EXPECT_EQ(sys(SYS_flistxattr, fd.get(), nullptr, 0), 8);
  EXPECT_EQ(sys(SYS_llistxattr, "f", nullptr, 0), 8);
  EXPECT_EQ(sys(SYS_fremovexattr, fd.get(), "user.fd"), 0);
  EXPECT_EQ(sys(SYS_lremovexattr, "f", "user.fd"), -ENODATA);
  EXPECT_EQ(sys(SYS_getxattr, "none", "user.fd", value.data(), 8), -ENOENT);
  Fd path = open_fd("f", O_PATH);
  EXPECT_EQ(sys(SYS_fgetxattr, path.get(), "user.fd", value.data(), 8), -EBADF);
}

TEST_F(XattrTest, StayWhenTheFileIsChangedAndMoved) {
  ASSERT_EQ(sys(SYS_setxattr, "f", "user.kept", "yes", 3, 0), 0);
  Fd fd = open_fd("f", O_WRONLY | O_TRUNC);
  EXPECT_EQ(::write(fd.get(), "new", 3), 3);
  ASSERT_EQ(::rename("f", "g"), 0);
  std::array<char, 8> value = {};
  EXPECT_EQ(sys(SYS_getxattr, "g", "user.kept", value.data(), 8), 3);
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_EQ(sys(SYS_setxattr, "d", "user.of_directory", "d", 1, 0), 0);
  ASSERT_EQ(::rename("d", "e"), 0);
  EXPECT_EQ(sys(SYS_getxattr, "e", "user.of_directory", value.data(), 8), 1);
}

TEST_F(XattrTest, NewCallsSeeTheSame) {
  ASSERT_EQ(sys(SYS_setxattr, "f", "user.new", "12", 2, 0), 0);
  std::array<char, 8> value = {};
  struct {
    uint64_t value;
    uint32_t size;
    uint32_t flags;
  } args = {reinterpret_cast<uint64_t>(value.data()), 8, 0};
  long result = sys(kGetxattrat, AT_FDCWD, "f", 0, "user.new", &args, sizeof(args));
  if (result == -ENOSYS) GTEST_SKIP() << "this kernel has no getxattrat";
  EXPECT_EQ(result, 2);
  EXPECT_EQ(sys(kSetxattrat, AT_FDCWD, "f", 0, "user.newer", &args, sizeof(args)), 0);
  EXPECT_EQ(sys(SYS_getxattr, "f", "user.newer", nullptr, 0), 8);
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(kSetxattrat, fd.get(), "", AT_EMPTY_PATH, "user.fd", &args, sizeof(args)), 0);
  EXPECT_EQ(sys(kGetxattrat, fd.get(), "", AT_EMPTY_PATH, "user.fd", &args, sizeof(args)), 8);
  EXPECT_EQ(sys(SYS_getxattr, "f", "user.fd", nullptr, 0), 8);
  constexpr long kListxattrat = 465;
  constexpr long kRemovexattrat = 466;
  EXPECT_EQ(sys(kListxattrat, AT_FDCWD, "f", 0, nullptr, 0), sys(SYS_listxattr, "f", nullptr, 0));
  EXPECT_EQ(sys(kRemovexattrat, AT_FDCWD, "f", 0, "user.newer"), 0);
  EXPECT_EQ(sys(kRemovexattrat, fd.get(), "", AT_EMPTY_PATH, "user.fd"), 0);
  EXPECT_EQ(sys(kRemovexattrat, AT_FDCWD, "f", 0, "user.fd"), -ENODATA);
  ASSERT_EQ(::symlink("f", "link_to_f"), 0);
  EXPECT_EQ(sys(kGetxattrat, AT_FDCWD, "link_to_f", 0, "user.new", &args, sizeof(args)), 2);
  EXPECT_EQ(
      sys(kGetxattrat, AT_FDCWD, "link_to_f", AT_SYMLINK_NOFOLLOW, "user.new", &args, sizeof(args)),
      -ENODATA);
  EXPECT_EQ(sys(kGetxattrat, AT_FDCWD, "none", 0, "user.new", &args, sizeof(args)), -ENOENT);
  EXPECT_EQ(sys(kSetxattrat, AT_FDCWD, "f", 0x1, "user.new", &args, sizeof(args)), -EINVAL);
  EXPECT_EQ(sys(kSetxattrat, AT_FDCWD, "f", 0, "user.new", &args, 8), -EINVAL);
  EXPECT_EQ(sys(kSetxattrat, AT_FDCWD, "f", 0, "user.new", &args, 5000), -E2BIG);
}

TEST_F(XattrTest, FileAttributesByPath) {
  constexpr long kFileGetattr = 468;
  std::array<uint64_t, 3> by_path = {};
  std::array<uint64_t, 3> by_fd = {};
  long result = sys(kFileGetattr, AT_FDCWD, "f", by_path.data(), 24, 0);
  if (result == -ENOSYS) GTEST_SKIP() << "this kernel has no file_getattr";
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(kFileGetattr, fd.get(), "", by_fd.data(), 24, AT_EMPTY_PATH), result);
  EXPECT_EQ(by_path, by_fd);
  EXPECT_EQ(sys(kFileGetattr, AT_FDCWD, "none", by_path.data(), 24, 0), -ENOENT);
  EXPECT_EQ(sys(kFileGetattr, AT_FDCWD, "f", by_path.data(), 24, 0x1), -EINVAL);
}

TEST_F(Meta, DescriptorsOfWhatHasLostItsName) {
  write_file("f", "old");
  write_file("f (deleted)", "another one", 0644);
  Fd unlinked = open_fd("f", O_RDWR);
  ASSERT_EQ(::unlink("f"), 0);
  write_file("f", "new", 0644);
  Fd replaced = open_fd("f", O_RDWR);
  ASSERT_EQ(::link("f", "other"), 0);
  write_file("g", "newer", 0644);
  ASSERT_EQ(::rename("g", "f"), 0);
  Fd nameless(sys(SYS_open, ".", O_TMPFILE | O_RDWR, 0644));
  const timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
  for (int fd : {unlinked.get(), replaced.get(), nameless.get()}) {
    if (fd < 0) continue;  // no O_TMPFILE on this file system
    EXPECT_EQ(sys(SYS_fchmod, fd, 0600), 0);
    EXPECT_EQ(sys(SYS_utimensat, fd, nullptr, times, 0), 0);
    EXPECT_EQ(sys(SYS_fchown, fd, ::getuid(), ::getgid()), 0);
    struct stat st {};
    ASSERT_EQ(::fstat(fd, &st), 0);
    EXPECT_EQ(st.st_mode, S_IFREG | 0600U);
    EXPECT_EQ(st.st_mtim.tv_sec, 1000000000);
  }
  EXPECT_EQ(stat_of("other").st_mode, S_IFREG | 0600U);
  for (const char* name : {"f", "f (deleted)"}) {
    EXPECT_EQ(stat_of(name).st_mode, S_IFREG | 0644U) << name;
    EXPECT_GT(stat_of(name).st_mtim.tv_sec, 1500000000) << name;
  }
}

TEST_F(XattrTest, OfAClosedDirectoryAreNotRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  ASSERT_EQ(::mkdir("closed", 0300), 0);
  std::array<char, 8> value = {};
  EXPECT_EQ(sys(SYS_getxattr, "closed", "user.a", value.data(), 8), -EACCES);
  EXPECT_EQ(sys(SYS_setxattr, "closed", "user.a", "1", 1, 0), 0);
  EXPECT_EQ(sys(SYS_getxattr, "closed", "user.a", value.data(), 8), -EACCES);
  ASSERT_EQ(::chmod("closed", 0700), 0);
  EXPECT_EQ(sys(SYS_getxattr, "closed", "user.a", value.data(), 8), 1);
}

}  // namespace
}  // namespace viewsh_test
