// openat2(2) RESOLVE_*: the walk is the view's, and so are its borders.

#include <linux/openat2.h>
#include <sys/wait.h>

#include "support.h"

namespace viewsh_test {
namespace {

class Resolve : public SyscallTest {
 protected:
  void SetUp() override {
    SyscallTest::SetUp();
    ASSERT_EQ(::mkdir("root", 0755), 0);
    ASSERT_EQ(::mkdir("root/sub", 0755), 0);
    write_file("root/f", "inside");
    write_file("f", "outside");
    write_file("root/sub/g", "deep");
    ASSERT_EQ(::symlink("sub", "root/to_sub"), 0);
    ASSERT_EQ(::symlink("../f", "root/up"), 0);
    ASSERT_EQ(::symlink("/f", "root/abs"), 0);
    ASSERT_EQ(::symlink("../f", "root/sub/back"), 0);
    ASSERT_EQ(::symlink((dir() + "/root/f").c_str(), "root/abs_inside"), 0);
    base_ = open_fd("root", O_RDONLY | O_DIRECTORY);
  }

  /// In a scope the kernel answers EAGAIN to a `..` while anything on the machine is renamed or
  /// mounted; callers are to ask again (openat2(2), ERRORS).
  long open(const std::string& path, uint64_t resolve, uint64_t flags = O_RDONLY) {
    constexpr int kAttempts = 10000;
    bool scoped = (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) != 0;
    long fd = open_once(path, resolve, flags);
    for (int i = 1; scoped && fd == -EAGAIN && i < kAttempts; ++i) {
      fd = open_once(path, resolve, flags);
    }
    return fd;
  }
  /// The content of what was opened, or the errno's name.
  std::string content(const std::string& path, uint64_t resolve) {
    long fd = open(path, resolve);
    if (fd < 0) return std::string("!") + strerrorname_np(static_cast<int>(-fd));
    Fd file(fd);
    std::array<char, 64> buffer;
    ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    return n < 0 ? "!read" : std::string(buffer.data(), static_cast<size_t>(n));
  }

 private:
  long open_once(const std::string& path, uint64_t resolve, uint64_t flags) {
    open_how how = {};
    how.flags = flags;
    how.mode = (flags & O_CREAT) != 0 ? 0644 : 0;
    how.resolve = resolve;
    return sys(SYS_openat2, base_.get(), path.c_str(), &how, sizeof(how));
  }

  Fd base_;
};

TEST_F(Resolve, NothingAsked) {
  EXPECT_EQ(content("f", 0), "inside");
  EXPECT_EQ(content("../f", 0), "outside");
  EXPECT_EQ(content("up", 0), "outside");
  EXPECT_EQ(content("to_sub/g", 0), "deep");
  EXPECT_EQ(content("abs_inside", 0), "inside");
}

TEST_F(Resolve, NoSymlinks) {
  EXPECT_EQ(content("sub/g", RESOLVE_NO_SYMLINKS), "deep");
  EXPECT_EQ(content("../f", RESOLVE_NO_SYMLINKS), "outside");
  EXPECT_EQ(content("to_sub/g", RESOLVE_NO_SYMLINKS), "!ELOOP");
  EXPECT_EQ(content("up", RESOLVE_NO_SYMLINKS), "!ELOOP");
  EXPECT_TRUE(Fd(open("up", RESOLVE_NO_SYMLINKS, O_PATH | O_NOFOLLOW)).ok());
}

TEST_F(Resolve, Beneath) {
  EXPECT_EQ(content("f", RESOLVE_BENEATH), "inside");
  EXPECT_EQ(content("to_sub/g", RESOLVE_BENEATH), "deep");
  EXPECT_EQ(content("sub/../f", RESOLVE_BENEATH), "inside");
  EXPECT_EQ(content("sub/back", RESOLVE_BENEATH), "inside");
  EXPECT_EQ(content("../f", RESOLVE_BENEATH), "!EXDEV");
  EXPECT_EQ(content("..", RESOLVE_BENEATH), "!EXDEV");
  EXPECT_EQ(content("up", RESOLVE_BENEATH), "!EXDEV");
  EXPECT_EQ(content("abs", RESOLVE_BENEATH), "!EXDEV");
  EXPECT_EQ(content("abs_inside", RESOLVE_BENEATH), "!EXDEV");
  EXPECT_EQ(content("/etc/passwd", RESOLVE_BENEATH), "!EXDEV");
}

TEST_F(Resolve, InRoot) {
  EXPECT_EQ(content("f", RESOLVE_IN_ROOT), "inside");
  EXPECT_EQ(content("/f", RESOLVE_IN_ROOT), "inside");
  EXPECT_EQ(content("../../f", RESOLVE_IN_ROOT), "inside");
  EXPECT_EQ(content("up", RESOLVE_IN_ROOT), "inside");
  EXPECT_EQ(content("abs", RESOLVE_IN_ROOT), "inside");
  EXPECT_EQ(content("abs_inside", RESOLVE_IN_ROOT), "!ENOENT");
  EXPECT_EQ(content("/sub/../../sub/g", RESOLVE_IN_ROOT), "deep");
}

TEST_F(Resolve, NoMagicLinks) {
  write_file("target", "magic");
  Fd target = open_fd("target", O_RDONLY);
  std::string link = "/proc/self/fd/" + std::to_string(target.get());
  EXPECT_EQ(content(link, 0), "magic");
  EXPECT_EQ(content(link, RESOLVE_NO_MAGICLINKS), "!ELOOP");
  EXPECT_EQ(content("up", RESOLVE_NO_MAGICLINKS), "outside");
  std::string below_cwd = "/proc/self/cwd/target";
  EXPECT_EQ(content(below_cwd, 0), "magic");
  EXPECT_EQ(content(below_cwd, RESOLVE_NO_MAGICLINKS), "!ELOOP");
}

TEST_F(Resolve, MagicLinksHaveNoPlaceInAScope) {
  write_file("target", "magic");
  Fd target = open_fd("target", O_RDONLY);
  Fd top = open_fd("/", O_RDONLY | O_DIRECTORY);
  std::string link = "proc/self/fd/" + std::to_string(target.get());
  for (uint64_t scope : {uint64_t{RESOLVE_IN_ROOT}, uint64_t{RESOLVE_BENEATH}}) {
    for (const std::string& path :
         {link, std::string("proc/self/cwd"), std::string("proc/self/cwd/target")}) {
      open_how how = {};
      how.resolve = scope;
      EXPECT_EQ(sys(SYS_openat2, top.get(), path.c_str(), &how, sizeof(how)), -EXDEV) << path;
      how.resolve |= RESOLVE_NO_MAGICLINKS;
      EXPECT_EQ(sys(SYS_openat2, top.get(), path.c_str(), &how, sizeof(how)), -ELOOP) << path;
    }
  }
}

/// What the structure says is looked at before the path is.
TEST_F(Resolve, OrderOfTheChecks) {
  const char* bad = reinterpret_cast<const char*>(uintptr_t{8});
  auto open_bad = [&](const char* path, uint64_t flags, uint64_t mode, uint64_t resolve) {
    open_how how = {};
    how.flags = flags;
    how.mode = mode;
    how.resolve = resolve;
    return sys(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
  };
  for (const char* path : {bad, "none", "f"}) {
    EXPECT_EQ(open_bad(path, O_RDONLY, 0, uint64_t{1} << 40), -EINVAL);
    EXPECT_EQ(open_bad(path, O_RDONLY, 0644, 0), -EINVAL);
    EXPECT_EQ(open_bad(path, O_PATH | O_RDWR, 0, 0), -EINVAL);
    EXPECT_EQ(open_bad(path, uint64_t{1} << 30, 0, 0), -EINVAL);
    EXPECT_EQ(open_bad(path, O_TMPFILE, 0600, 0), -EINVAL);
    EXPECT_EQ(open_bad(path, O_RDWR | O_CREAT, 010000, 0), -EINVAL);
    EXPECT_EQ(open_bad(path, O_RDWR | O_CREAT, 0600, RESOLVE_CACHED), -EAGAIN);
    EXPECT_EQ(open_bad(path, O_RDWR | O_TRUNC, 0, RESOLVE_CACHED), -EAGAIN);
    EXPECT_EQ(open_bad(path, O_RDWR | O_CREAT, 010000, RESOLVE_CACHED), -EINVAL);
  }
  EXPECT_EQ(open_bad(bad, O_RDONLY, 0, RESOLVE_CACHED), -EFAULT);
  EXPECT_EQ(open_bad("", O_RDONLY, 0, RESOLVE_CACHED), -ENOENT);
  EXPECT_EQ(open_bad(bad, O_RDONLY, 0, 0), -EFAULT);
}

TEST_F(Resolve, NoCrossingOfMounts) {
  EXPECT_EQ(content("sub/g", RESOLVE_NO_XDEV), "deep");
  EXPECT_EQ(content("../f", RESOLVE_NO_XDEV), "outside");
  EXPECT_EQ(content("/proc/self/stat", RESOLVE_NO_XDEV), "!EXDEV");
}

TEST_F(Resolve, FlagsThatExcludeEachOther) {
  EXPECT_EQ(open("f", RESOLVE_BENEATH | RESOLVE_IN_ROOT), -EINVAL);
  EXPECT_EQ(open("f", RESOLVE_CACHED, O_RDWR | O_CREAT), -EAGAIN);
  EXPECT_EQ(open("f", 0, O_RDONLY | O_PATH | O_RDWR), -EINVAL);
}

TEST_F(Resolve, CachedAnswersOrAsksAgain) {
  long fd = open("f", RESOLVE_CACHED);
  EXPECT_TRUE(fd >= 0 || fd == -EAGAIN) << fd;
  Fd closes(fd);
}

TEST_F(Resolve, CreatesBeneath) {
  EXPECT_TRUE(Fd(open("sub/new", RESOLVE_BENEATH, O_RDWR | O_CREAT)).ok());
  EXPECT_TRUE(exists("root/sub/new"));
  EXPECT_EQ(open("../new", RESOLVE_BENEATH, O_RDWR | O_CREAT), -EXDEV);
  EXPECT_FALSE(exists("new"));
  EXPECT_TRUE(Fd(open("/new", RESOLVE_IN_ROOT, O_RDWR | O_CREAT)).ok());
  EXPECT_TRUE(exists("root/new"));
}

}  // namespace
}  // namespace viewsh_test
