#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "fake_task.h"
#include "syscalls/handlers.h"

namespace viewsh {
namespace {

using testing::FakeMemory;
using testing::FakeTask;
using testing::host_fs;
using testing::mount_of;
using testing::TempTree;

constexpr uint64_t kAt = 0x10000;
constexpr uint64_t kHow = 0x20000;
constexpr uint64_t kBuffer = 0x30000;

long error_of(const Outcome& outcome) {
  return outcome.kind == Outcome::Kind::kReturn ? outcome.value : 0;
}

TEST(TraceeMemory, ReadsAllOrNothing) {
  FakeMemory memory;
  memory.place(kAt, "12345678");
  char bytes[8];
  EXPECT_TRUE(memory.read(kAt, bytes, 8).ok());
  EXPECT_TRUE(memory.read(kAt + 8, bytes, 0).ok());
  EXPECT_EQ(memory.read(kAt + 1, bytes, 8).error(), EFAULT);
  EXPECT_EQ(memory.read(0, bytes, 1).error(), EFAULT);
  EXPECT_EQ(memory.get<uint64_t>(kAt).value(), 0x3837363534333231ULL);
  EXPECT_EQ(memory.get<uint64_t>(kAt + 4).error(), EFAULT);
  EXPECT_TRUE(memory.put(kAt, uint32_t{0x41414141}).ok());
  EXPECT_EQ(memory.regions[kAt], "AAAA5678");
  EXPECT_EQ(memory.put(kAt + 6, uint32_t{0}).error(), EFAULT);
}

TEST(TraceeMemory, Strings) {
  FakeMemory memory;
  memory.place(kAt, std::string("abc\0def", 7));
  EXPECT_EQ(memory.read_string(kAt, 4096).value(), "abc");
  EXPECT_EQ(memory.read_string(kAt + 3, 4096).value(), "");
  EXPECT_EQ(memory.read_string(kAt, 4).value(), "abc");
  EXPECT_EQ(memory.read_string(kAt, 3).error(), ENAMETOOLONG);
  EXPECT_EQ(memory.read_string(kAt + 4, 4096).error(), EFAULT);
  EXPECT_EQ(memory.read_string(0, 4096).error(), EFAULT);
}

TEST(TraceeMemory, StringsOfEveryLengthAtEveryPlaceOfAPage) {
  for (size_t length : {0U, 1U, 255U, 256U, 257U, 4000U, 4094U, 4095U}) {
    for (uint64_t offset : {0U, 1U, 3839U, 3840U, 4000U, 4095U}) {
      FakeMemory memory;
      memory.place(kAt + offset, std::string(length, 'p') + std::string(1, '\0'));
      Result<std::string> text = memory.read_string(kAt + offset, PATH_MAX);
      ASSERT_TRUE(text.ok()) << length << " at " << offset;
      EXPECT_EQ(*text, std::string(length, 'p'));
    }
  }
  FakeMemory memory;
  memory.place(kAt, std::string(5000, 'p'));
  EXPECT_EQ(memory.read_string(kAt, PATH_MAX).error(), ENAMETOOLONG);
  memory.place(kAt, std::string(4095, 'p'));
  EXPECT_EQ(memory.read_string(kAt, PATH_MAX).error(), EFAULT) << "unmapped before the limit";
  memory.place(kAt, std::string(4096, 'p'));
  EXPECT_EQ(memory.read_string(kAt, PATH_MAX).error(), ENAMETOOLONG);
}

TEST(TraceeMemory, AStringAtTheEndOfItsPageIsReadWithoutTheNext) {
  FakeMemory memory;
  memory.place(kAt, std::string(4090, '.') + "path" + std::string(2, '\0'));
  EXPECT_EQ(memory.read_string(kAt + 4090, PATH_MAX).value(), "path");
  EXPECT_EQ(memory.reads, 1);
}

TEST(TraceeMemory, OwnMemoryThroughTheKernel) {
  ProcessMemory memory(getpid());
  const std::string text = "of this very process";
  EXPECT_EQ(memory.read_string(reinterpret_cast<uint64_t>(text.c_str()), 4096).value(), text);
  uint64_t number = 1;
  EXPECT_TRUE(memory.put(reinterpret_cast<uint64_t>(&number), uint64_t{7}).ok());
  EXPECT_EQ(number, 7U);
  EXPECT_EQ(memory.read_string(8, 4096).error(), EFAULT);
  EXPECT_EQ(memory.put(8, number).error(), EFAULT);
}

// What the typed handlers below were given.
struct Given {
  int fd = 0;
  int dir = 0;
  int number = 0;
  unsigned bits = 0;
  mode_t mode = 0;
  uint64_t wide = 0;
  int64_t offset = 0;
  size_t size = 0;
  uint64_t address = 0;
  std::string path = {};
  unsigned argument = 0;
  bool null = false;
  int calls = 0;
};
Given given;

Outcome numbers(Call&, Fd fd, DirFd dir, int number, unsigned bits, uint64_t wide, int64_t offset) {
  given = {.fd = fd.value,
           .dir = dir.value,
           .number = number,
           .bits = bits,
           .wide = wide,
           .offset = offset,
           .calls = given.calls + 1};
  return Outcome::result(1);
}
Outcome others(Call&, mode_t mode, size_t size, Addr<char> address) {
  given = {.mode = mode, .size = size, .address = address.value, .calls = given.calls + 1};
  return Outcome::result(2);
}
Outcome paths(Call&, int, UserPath path, OptionalPath other) {
  given = {.path = path.text + "|" + other.path.text,
           .argument = path.argument * 10 + other.path.argument,
           .null = other.null,
           .calls = given.calls + 1};
  return Outcome::result(3);
}

class DecodeTest : public ::testing::Test {
 protected:
  DecodeTest() : fake_(std::make_shared<View>(mount_of("/", host_fs("/")))) { given = {}; }
  FakeTask fake_;
};

TEST_F(DecodeTest, WidthsAndSigns) {
  fake_.arguments({0xdeadbeef00000005, 0xffffffffffffff9c, 0x1ffffffff, 0xffffffff80000001,
                   0xfedcba9876543210, 0xffffffffffffffff});
  EXPECT_EQ(fake_.run_handler(bind_handler<numbers>).value, 1);
  EXPECT_EQ(given.fd, 5);
  EXPECT_EQ(given.dir, AT_FDCWD);
  EXPECT_EQ(given.number, -1);
  EXPECT_EQ(given.bits, 0x80000001U);
  EXPECT_EQ(given.wide, 0xfedcba9876543210U);
  EXPECT_EQ(given.offset, -1);
  // AT_FDCWD as a program gives it that left the upper half alone.
  fake_.arguments({0, 0x00000000ffffff9c});
  fake_.run_handler(bind_handler<numbers>);
  EXPECT_EQ(given.dir, AT_FDCWD);
  fake_.arguments({0xffffffff000001a4, 0xfffffffffffffff0, 0x7fff00001000});
  EXPECT_EQ(fake_.run_handler(bind_handler<others>).value, 2);
  EXPECT_EQ(given.mode, 0644U);
  EXPECT_EQ(given.size, 0xfffffffffffffff0U);
  EXPECT_EQ(given.address, 0x7fff00001000U);
}

TEST_F(DecodeTest, Paths) {
  fake_.memory.place(kAt, std::string("one\0two\0", 8));
  fake_.arguments({0, kAt, kAt + 4});
  EXPECT_EQ(fake_.run_handler(bind_handler<paths>).value, 3);
  EXPECT_EQ(given.path, "one|two");
  EXPECT_EQ(given.argument, 12U);
  EXPECT_FALSE(given.null);
  fake_.arguments({0, kAt, 0});
  EXPECT_EQ(fake_.run_handler(bind_handler<paths>).value, 3);
  EXPECT_EQ(given.path, "one|");
  EXPECT_TRUE(given.null);
}

TEST_F(DecodeTest, BadPathsAreAnsweredBeforeTheHandler) {
  fake_.memory.place(kAt, std::string(5000, 'x'));
  fake_.memory.place(kHow, std::string("ok\0", 3));
  struct Case {
    uint64_t first, second;
    int error;
  };
  const Case cases[] = {{0, 0, EFAULT},
                        {8, 0, EFAULT},
                        {kAt, 0, ENAMETOOLONG},
                        {kHow, 8, EFAULT},
                        {kHow, kAt, ENAMETOOLONG},
                        {kAt, 8, ENAMETOOLONG},
                        {8, kAt, EFAULT}};
  for (const Case& one : cases) {
    fake_.arguments({0, one.first, one.second});
    EXPECT_EQ(error_of(fake_.run_handler(bind_handler<paths>)), -one.error);
  }
  EXPECT_EQ(given.calls, 0);
}

/// Handlers in a view whose root is a directory of the test, without a process.
class HandlerTest : public ::testing::Test {
 protected:
  HandlerTest() : fake_(std::make_shared<View>(mount_of("/", host_fs(tree_.root())))) {
    tree_.file("d/f");
    tree_.link("l", "d/f");
    fake_.session.host_proc = false;
    fake_.task.fs->cwd = "/d";
    fake_.task.fs->kernel_cwd = tree_.host("d");
  }
  uint64_t text(const std::string& path) {
    return fake_.memory.place(kAt, path + std::string(1, '\0'));
  }
  Outcome openat2(const std::string& path, const open_how& how, size_t size = sizeof(open_how),
                  const std::string& tail = {}) {
    fake_.memory.place(kHow, std::string(reinterpret_cast<const char*>(&how), sizeof how) + tail);
    return fake_.run(SYS_openat2, {static_cast<uint64_t>(AT_FDCWD), text(path), kHow, size});
  }
  static std::string path_of(const Outcome& outcome) {
    return outcome.texts.empty() ? "" : outcome.texts[0].bytes.c_str();
  }
  TempTree tree_;
  FakeTask fake_;
};

TEST_F(HandlerTest, Getcwd) {
  fake_.memory.place(kBuffer, std::string(16, '#'));
  EXPECT_EQ(error_of(fake_.run(SYS_getcwd, {kBuffer, 0})), -ERANGE);
  EXPECT_EQ(error_of(fake_.run(SYS_getcwd, {kBuffer, 2})), -ERANGE);
  EXPECT_EQ(fake_.memory.regions[kBuffer], std::string(16, '#'));
  Outcome done = fake_.run(SYS_getcwd, {kBuffer, 3});
  EXPECT_EQ(done.value, 3);
  EXPECT_EQ(fake_.memory.regions[kBuffer].substr(0, 4), std::string("/d\0#", 4));
  EXPECT_EQ(error_of(fake_.run(SYS_getcwd, {8, 100})), -EFAULT);
  fake_.task.fs->cwd_gone = true;
  EXPECT_EQ(error_of(fake_.run(SYS_getcwd, {kBuffer, 16})), -ENOENT);
}

TEST_F(HandlerTest, Umask) {
  EXPECT_EQ(fake_.run(SYS_umask, {0xffffffffffff0000 | 077}).kind, Outcome::Kind::kRunAsIs);
  EXPECT_EQ(fake_.task.fs->umask, 077U);
  fake_.run(SYS_umask, {~0ULL});
  EXPECT_EQ(fake_.task.fs->umask, 0777U);
}

TEST_F(HandlerTest, UnshareOfTheFileSystemContext) {
  std::shared_ptr<FsContext> shared = fake_.task.fs;
  Outcome out = fake_.run(SYS_unshare, {CLONE_FILES});
  EXPECT_FALSE(out.at_exit);
  out = fake_.run(SYS_unshare, {CLONE_FS});
  ASSERT_TRUE(out.at_exit);
  EXPECT_EQ(out.at_exit(-EPERM), -EPERM);
  EXPECT_EQ(fake_.task.fs, shared);
  EXPECT_EQ(out.at_exit(0), 0);
  EXPECT_NE(fake_.task.fs, shared);
  EXPECT_EQ(fake_.task.fs->cwd, "/d");
}

TEST_F(HandlerTest, RefusedCalls) {
  for (long nr : {SYS_pivot_root, SYS_swapon, SYS_acct}) {
    EXPECT_EQ(error_of(fake_.run(nr, {0, 0, 0, 0, 0})), -EPERM) << nr;
  }
  // In a view that doesn't allow it. Arguments and path come first, as on Linux.
  EXPECT_EQ(error_of(fake_.run(SYS_mount, {0, text("/d"), 0, 0, 0})), -EPERM);
  EXPECT_EQ(error_of(fake_.run(SYS_mount, {0, text("/none"), 0, 0, 0})), -ENOENT);
  EXPECT_EQ(error_of(fake_.run(SYS_mount, {0, 8, 0, 0, 0})), -EFAULT);
  EXPECT_EQ(error_of(fake_.run(SYS_umount2, {text("/d"), 0})), -EPERM);
  EXPECT_EQ(error_of(fake_.run(SYS_umount2, {text("/d"), 0x40})), -EINVAL);
  EXPECT_EQ(error_of(fake_.run(SYS_setns, {3, 0})), -EPERM);
  EXPECT_EQ(error_of(fake_.run(SYS_setns, {3, CLONE_NEWNS})), -EPERM);
  EXPECT_EQ(fake_.run(SYS_setns, {3, CLONE_NEWUTS}).kind, Outcome::Kind::kRunAsIs);
}

TEST_F(HandlerTest, ChrootLooksAtThePathFirstAndAsksForTheCapability) {
  EXPECT_EQ(error_of(fake_.run(SYS_chroot, {8})), -EFAULT);
  EXPECT_EQ(error_of(fake_.run(SYS_chroot, {text("/none")})), -ENOENT);
  EXPECT_EQ(error_of(fake_.run(SYS_chroot, {text("/d/f")})), -ENOTDIR);
  // What this process may do is what the task may: they are the same one here.
  const bool may = geteuid() == 0;
  Outcome out = fake_.run(SYS_chroot, {text("/d")});
  EXPECT_EQ(out.kind, Outcome::Kind::kReturn);
  EXPECT_EQ(out.value, may ? 0 : -EPERM);
  EXPECT_EQ(fake_.task.fs->root, may ? "/d" : "/");
  EXPECT_EQ(fake_.task.fs->cwd, "/d") << "the working directory stays";
}

TEST_F(HandlerTest, ATaskWithAnotherRootStaysInIt) {
  fake_.task.fs->root = "/d";
  fake_.memory.place(kBuffer, std::string(64, '#'));
  Outcome out = fake_.run(SYS_open, {text("/f"), O_RDONLY, 0});
  EXPECT_EQ(path_of(out), tree_.host("d/f"));
  EXPECT_EQ(error_of(fake_.run(SYS_open, {text("/../l"), O_RDONLY, 0})), -ENOENT);
  EXPECT_EQ(fake_.run(SYS_getcwd, {kBuffer, 64}).value, 2);
  EXPECT_EQ(fake_.memory.regions[kBuffer].substr(0, 3), std::string("/\0#", 3));
  fake_.task.fs->cwd = "/";
  EXPECT_EQ(fake_.run(SYS_getcwd, {kBuffer, 64}).value, 15);
  EXPECT_STREQ(fake_.memory.regions[kBuffer].c_str(), "(unreachable)/");
}

TEST_F(HandlerTest, Openat2ChecksItsStructure) {
  const open_how plain{};
  for (size_t size : {0U, 8U, 23U}) EXPECT_EQ(error_of(openat2("f", plain, size)), -EINVAL) << size;
  EXPECT_EQ(error_of(openat2("f", plain, 4097)), -E2BIG);
  EXPECT_EQ(error_of(openat2("f", plain, 32, std::string(7, '\0') + "x")), -E2BIG);
  EXPECT_EQ(openat2("f", plain, 32, std::string(8, '\0')).kind, Outcome::Kind::kRunAsIs);
  EXPECT_EQ(error_of(openat2("f", plain, 32)), -EFAULT);
  EXPECT_EQ(error_of(fake_.run(SYS_openat2, {0, text("f"), 8, sizeof plain})), -EFAULT);
  EXPECT_EQ(error_of(fake_.run(SYS_openat2, {0, 8, kHow, sizeof plain})), -EFAULT);
}

TEST_F(HandlerTest, Openat2ChecksItsValues) {
  auto with = [](uint64_t flags, uint64_t mode, uint64_t resolve) {
    open_how how{};
    how.flags = flags;
    how.mode = mode;
    how.resolve = resolve;
    return how;
  };
  EXPECT_EQ(error_of(openat2("f", with(0, 0, 0x40))), -EINVAL);
  EXPECT_EQ(error_of(openat2("f", with(0, 0, uint64_t{1} << 63))), -EINVAL);
  EXPECT_EQ(error_of(openat2("f", with(0, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT))), -EINVAL);
  EXPECT_EQ(error_of(openat2("f", with(0, 0644, 0))), -EINVAL);
  EXPECT_EQ(error_of(openat2("f", with(O_CREAT, 010000, 0))), -EINVAL);
  EXPECT_EQ(error_of(openat2("f", with(uint64_t{1} << 32, 0, 0))), -EINVAL);
  EXPECT_EQ(error_of(openat2("f", with(0, 0, RESOLVE_CACHED))), -EAGAIN);
  EXPECT_EQ(error_of(openat2("../l", with(0, 0, RESOLVE_NO_SYMLINKS))), -ELOOP);
  EXPECT_EQ(error_of(openat2("../l", with(0, 0, RESOLVE_BENEATH))), -EXDEV);
  EXPECT_EQ(error_of(openat2("/d/f", with(0, 0, RESOLVE_BENEATH))), -EXDEV);
  EXPECT_EQ(error_of(openat2("none", with(0, 0, 0))), -ENOENT);
  EXPECT_EQ(openat2("f", with(O_CREAT, 0644, 0)).kind, Outcome::Kind::kRunAsIs);
}

TEST_F(HandlerTest, OpenIsRewrittenToTheHostPath) {
  Outcome out = fake_.run(SYS_open, {text("/l"), O_RDONLY, 0});
  EXPECT_EQ(out.kind, Outcome::Kind::kRewritten);
  EXPECT_EQ(path_of(out), tree_.host("d/f"));
  EXPECT_EQ(out.texts[0].argument, 0U);
  out = fake_.run(SYS_openat, {static_cast<uint64_t>(AT_FDCWD), text("/d/"), O_RDONLY, 0});
  EXPECT_EQ(path_of(out), tree_.host("d/"));
  EXPECT_EQ(out.texts[0].argument, 1U);
  // Where the kernel arrives at the same file the call runs as it is.
  EXPECT_EQ(fake_.run(SYS_open, {text("f"), O_RDONLY, 0}).kind, Outcome::Kind::kRunAsIs);
  EXPECT_EQ(error_of(fake_.run(SYS_open, {text("/none"), O_RDONLY, 0})), -ENOENT);
  EXPECT_EQ(error_of(fake_.run(SYS_open, {text("/d/f/"), O_RDONLY, 0})), -ENOTDIR);
  EXPECT_EQ(error_of(fake_.run(SYS_open, {text(""), O_RDONLY, 0})), -ENOENT);
  EXPECT_EQ(error_of(fake_.run(SYS_open, {text("/new/"), O_CREAT | O_WRONLY, 0600})), -EISDIR);
  out = fake_.run(SYS_open, {text("/new"), O_CREAT | O_WRONLY, 0600});
  EXPECT_EQ(path_of(out), tree_.host("new"));
  EXPECT_TRUE(out.changes_host);
}

TEST_F(HandlerTest, CreatBecomesOpenat) {
  Outcome out = fake_.run(SYS_creat, {text("/new"), 0640});
  ASSERT_EQ(out.kind, Outcome::Kind::kRewritten);
  EXPECT_EQ(out.nr, SYS_openat);
  EXPECT_EQ(out.texts[0].argument, 1U);
  EXPECT_EQ(static_cast<int>(*out.arguments[0]), AT_FDCWD);
  EXPECT_EQ(*out.arguments[2], static_cast<uint64_t>(O_CREAT | O_WRONLY | O_TRUNC));
  EXPECT_EQ(*out.arguments[3], 0640U);
}

TEST_F(HandlerTest, ChdirTellsTheTaskWhenItIsDone) {
  Outcome out = fake_.run(SYS_chdir, {text("..")});
  ASSERT_TRUE(out.at_exit);
  EXPECT_EQ(out.at_exit(-EACCES), -EACCES);
  EXPECT_EQ(fake_.task.fs->cwd, "/d");
  EXPECT_EQ(out.at_exit(0), 0);
  EXPECT_EQ(fake_.task.fs->cwd, "/");
  EXPECT_EQ(fake_.task.fs->kernel_cwd, tree_.root());
  // At the view's root ".." stays, while the kernel would leave it.
  out = fake_.run(SYS_chdir, {text("..")});
  EXPECT_EQ(out.kind, Outcome::Kind::kRewritten);
  EXPECT_EQ(path_of(out), tree_.root() + "/");
  EXPECT_EQ(error_of(fake_.run(SYS_chdir, {text("none")})), -ENOENT);
}

TEST_F(HandlerTest, LstatAndStatOfALink) {
  EXPECT_EQ(path_of(fake_.run(SYS_lstat, {text("/l"), kBuffer})), tree_.host("l"));
  EXPECT_EQ(path_of(fake_.run(SYS_stat, {text("/l"), kBuffer})), tree_.host("d/f"));
  EXPECT_EQ(error_of(fake_.run(SYS_stat, {text("/none"), kBuffer})), -ENOENT);
}

}  // namespace
}  // namespace viewsh
