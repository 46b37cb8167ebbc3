// open, openat, openat2, creat: every variant, every flag that changes where an open ends.

#include <linux/openat2.h>
#include <sys/resource.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Open = SyscallTest;

struct Variant {
  const char* name;
  long (*open)(const std::string& dir, const std::string& file, int flags, mode_t mode);
};

long by_open(const std::string&, const std::string& file, int flags, mode_t mode) {
  return sys(SYS_open, file.c_str(), flags, mode);
}
long by_openat_cwd(const std::string&, const std::string& file, int flags, mode_t mode) {
  return sys(SYS_openat, AT_FDCWD, file.c_str(), flags, mode);
}
long by_openat_dirfd(const std::string& dir, const std::string& file, int flags, mode_t mode) {
  Fd base = open_fd(dir, O_RDONLY | O_DIRECTORY);
  if (::chdir("/") != 0) return -errno;
  long result = sys(SYS_openat, base.get(), file.c_str(), flags, mode);
  return ::chdir(dir.c_str()) != 0 ? -errno : result;
}
long by_openat_path_dirfd(const std::string& dir, const std::string& file, int flags, mode_t mode) {
  Fd base = open_fd(dir, O_PATH | O_DIRECTORY);
  return sys(SYS_openat, base.get(), file.c_str(), flags, mode);
}
long by_absolute(const std::string& dir, const std::string& file, int flags, mode_t mode) {
  // An absolute path never looks at the descriptor, not even at one that is not open.
  return sys(SYS_openat, -1, (dir + "/" + file).c_str(), flags, mode);
}
long by_openat2(const std::string&, const std::string& file, int flags, mode_t mode) {
  open_how how = {};
  how.flags = static_cast<unsigned>(flags);
  how.mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0;
  return sys(SYS_openat2, AT_FDCWD, file.c_str(), &how, sizeof(how));
}

std::string variant_name(const testing::TestParamInfo<Variant>& variant) {
  return variant.param.name;
}

class OpenVariant : public SyscallTest, public testing::WithParamInterface<Variant> {
 protected:
  long open(const std::string& file, int flags, mode_t mode = 0644) {
    return GetParam().open(dir(), file, flags, mode);
  }
};

TEST_P(OpenVariant, ReadsWhatIsThere) {
  write_file("f", "hello");
  Fd fd(open("f", O_RDONLY));
  ASSERT_TRUE(fd.ok());
  std::array<char, 16> buffer = {};
  EXPECT_EQ(::read(fd.get(), buffer.data(), buffer.size()), 5);
  EXPECT_STREQ(buffer.data(), "hello");
  EXPECT_EQ(sys(SYS_write, fd.get(), "x", 1), -EBADF);
}

TEST_P(OpenVariant, MissingIsNotFound) {
  EXPECT_EQ(open("none", O_RDONLY), -ENOENT);
  EXPECT_EQ(open("none/below", O_RDONLY), -ENOENT);
  if (GetParam().open != by_absolute) {
    EXPECT_EQ(open("", O_RDONLY), -ENOENT);
  }
}

TEST_P(OpenVariant, CreatesWithModeAndUmask) {
  ::umask(027);
  Fd fd(open("new", O_RDWR | O_CREAT, 0666));
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(stat_of("new").st_mode, S_IFREG | 0640U);
  EXPECT_EQ(open("new", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
  Fd again(open("new", O_RDWR | O_CREAT, 0600));
  EXPECT_TRUE(again.ok());
  EXPECT_EQ(stat_of("new").st_mode, S_IFREG | 0640U);
}

TEST_P(OpenVariant, CreatesReadOnlyFileThatCanBeWrittenThroughTheDescriptor) {
  Fd fd(open("ro", O_RDWR | O_CREAT | O_EXCL, 0400));
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(::write(fd.get(), "abc", 3), 3);
  EXPECT_EQ(read_file("ro"), "abc");
}

TEST_P(OpenVariant, Truncates) {
  write_file("f", "0123456789");
  Fd fd(open("f", O_WRONLY | O_TRUNC));
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(stat_of("f").st_size, 0);
}

TEST_P(OpenVariant, AppendsAtTheEndAlways) {
  write_file("f", "one");
  Fd fd(open("f", O_WRONLY | O_APPEND));
  ASSERT_TRUE(fd.ok());
  write_file("g", "");
  Fd other(open("f", O_WRONLY | O_APPEND));
  EXPECT_EQ(::write(other.get(), "two", 3), 3);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_SET), 0);
  EXPECT_EQ(::write(fd.get(), "three", 5), 5);
  EXPECT_EQ(read_file("f"), "onetwothree");
}

TEST_P(OpenVariant, DirectoryFlag) {
  write_file("f", "");
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_EQ(open("f", O_RDONLY | O_DIRECTORY), -ENOTDIR);
  EXPECT_TRUE(Fd(open("d", O_RDONLY | O_DIRECTORY)).ok());
  EXPECT_TRUE(Fd(open("d", O_RDONLY)).ok());
  EXPECT_EQ(open("d", O_WRONLY), -EISDIR);
  EXPECT_EQ(open("d", O_RDWR), -EISDIR);
  EXPECT_EQ(open("d", O_RDONLY | O_CREAT), -EISDIR);
}

TEST_P(OpenVariant, TrailingSlash) {
  write_file("f", "");
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::symlink("d", "to_d"), 0);
  EXPECT_EQ(open("f/", O_RDONLY), -ENOTDIR);
  EXPECT_EQ(open("none/", O_RDONLY), -ENOENT);
  EXPECT_EQ(open("none/", O_RDWR | O_CREAT), -EISDIR);
  EXPECT_TRUE(Fd(open("d/", O_RDONLY)).ok());
  EXPECT_TRUE(Fd(open("d//", O_RDONLY)).ok());
  EXPECT_TRUE(Fd(open("to_d/", O_RDONLY | O_NOFOLLOW)).ok());
  EXPECT_EQ(open("f/.", O_RDONLY), -ENOTDIR);
  EXPECT_EQ(open("f/..", O_RDONLY), -ENOTDIR);
}

TEST_P(OpenVariant, FollowsLinks) {
  write_file("f", "target");
  ASSERT_EQ(::symlink("f", "rel"), 0);
  ASSERT_EQ(::symlink(at("f").c_str(), "abs"), 0);
  ASSERT_EQ(::symlink("rel", "twice"), 0);
  for (const char* name : {"rel", "abs", "twice"}) {
    EXPECT_TRUE(Fd(open(name, O_RDONLY)).ok()) << name;
    EXPECT_EQ(open(name, O_RDONLY | O_NOFOLLOW), -ELOOP) << name;
  }
}

TEST_P(OpenVariant, LinkLoopsEnd) {
  ASSERT_EQ(::symlink("b", "a"), 0);
  ASSERT_EQ(::symlink("a", "b"), 0);
  ASSERT_EQ(::symlink("self/x", "self"), 0);
  EXPECT_EQ(open("a", O_RDONLY), -ELOOP);
  EXPECT_EQ(open("self", O_RDONLY), -ELOOP);
}

TEST_P(OpenVariant, FortyLinksAreTheLimit) {
  write_file("l0", "end");
  for (int i = 1; i <= 41; ++i) {
    std::string target = "l" + std::to_string(i - 1);
    ASSERT_EQ(::symlink(target.c_str(), ("l" + std::to_string(i)).c_str()), 0);
  }
  EXPECT_TRUE(Fd(open("l40", O_RDONLY)).ok());
  EXPECT_EQ(open("l41", O_RDONLY), -ELOOP);
}

TEST_P(OpenVariant, CreatesThroughADanglingLink) {
  ASSERT_EQ(::symlink("target", "dangling"), 0);
  EXPECT_EQ(open("dangling", O_RDONLY), -ENOENT);
  EXPECT_EQ(open("dangling", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
  EXPECT_EQ(open("dangling", O_RDWR | O_CREAT | O_NOFOLLOW), -ELOOP);
  EXPECT_FALSE(exists("target"));
  EXPECT_TRUE(Fd(open("dangling", O_RDWR | O_CREAT)).ok());
  EXPECT_EQ(stat_of("target").st_mode & S_IFMT, static_cast<mode_t>(S_IFREG));
  EXPECT_EQ(lstat_of("dangling").st_mode & S_IFMT, static_cast<mode_t>(S_IFLNK));
}

TEST_P(OpenVariant, PathDescriptor) {
  write_file("f", "content");
  ASSERT_EQ(::symlink("f", "link"), 0);
  Fd fd(open("f", O_PATH));
  ASSERT_TRUE(fd.ok());
  char c = 0;
  EXPECT_EQ(sys(SYS_read, fd.get(), &c, 1), -EBADF);
  struct stat st;
  EXPECT_EQ(::fstat(fd.get(), &st), 0);
  EXPECT_EQ(st.st_size, 7);
  Fd link(open("link", O_PATH | O_NOFOLLOW));
  ASSERT_TRUE(link.ok());
  EXPECT_EQ(::fstat(link.get(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  std::array<char, 8> target = {};
  EXPECT_EQ(sys(SYS_readlinkat, link.get(), "", target.data(), target.size()), 1);
  EXPECT_STREQ(target.data(), "f");
}

TEST_P(OpenVariant, CloseOnExec) {
  write_file("f", "");
  Fd kept(open("f", O_RDONLY));
  Fd closed(open("f", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::fcntl(kept.get(), F_GETFD), 0);
  EXPECT_EQ(::fcntl(closed.get(), F_GETFD), FD_CLOEXEC);
}

TEST_P(OpenVariant, LowestFreeDescriptor) {
  write_file("f", "");
  Fd a(open("f", O_RDONLY));
  Fd b(open("f", O_RDONLY));
  Fd c(open("f", O_RDONLY));
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  int lowest = b.get();
  b.reset(-1);
  Fd again(open("f", O_RDONLY));
  if (GetParam().open != by_openat_dirfd && GetParam().open != by_openat_path_dirfd) {
    EXPECT_EQ(again.get(), lowest);
  }
  EXPECT_EQ(open("none", O_RDONLY), -ENOENT);  // a failed open leaves no descriptor behind
  Fd next(open("f", O_RDONLY));
  Fd after(open("f", O_RDONLY));
  EXPECT_LE(after.get(), c.get() + 3);
}

TEST_P(OpenVariant, PermissionsAreTheKernels) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  write_file("secret", "x", 0000);
  EXPECT_EQ(open("secret", O_RDONLY), -EACCES);
  write_file("readable", "x", 0444);
  Fd copied(open("readable", O_RDWR));
  EXPECT_EQ(copied.ok(), refused(EACCES) == 0);
  copied.reset(-1);
  ASSERT_EQ(::mkdir("closed", 0755), 0);
  write_file("closed/f", "x");
  ASSERT_EQ(::chmod("closed", 0), 0);
  EXPECT_EQ(open("closed/f", O_RDONLY), -EACCES);
  EXPECT_EQ(open("closed/none", O_RDONLY), -EACCES);
  ASSERT_EQ(::chmod("closed", 0555), 0);
  Fd made(open("closed/new", O_RDWR | O_CREAT));
  EXPECT_EQ(made.ok(), refused(EACCES) == 0);
  ASSERT_EQ(::chmod("closed", 0755), 0);
}

TEST_P(OpenVariant, FlagsAreWhatWasAsked) {
  write_file("f", "");
  Fd fd(open("f", O_RDWR | O_APPEND | O_NONBLOCK));
  ASSERT_TRUE(fd.ok());
  int flags = ::fcntl(fd.get(), F_GETFL);
  EXPECT_EQ(flags & O_ACCMODE, O_RDWR);
  EXPECT_EQ(flags & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
  EXPECT_EQ(flags & (O_PATH | O_DIRECTORY), 0);
}

INSTANTIATE_TEST_SUITE_P(Open, OpenVariant,
                         testing::Values(Variant{"open", by_open},
                                         Variant{"openat_cwd", by_openat_cwd},
                                         Variant{"openat_dirfd", by_openat_dirfd},
                                         Variant{"openat_path_dirfd", by_openat_path_dirfd},
                                         Variant{"absolute", by_absolute},
                                         Variant{"openat2", by_openat2}),
                         variant_name);

TEST_F(Open, CreatIsOpenWithTruncation) {
  write_file("f", "old content");
  Fd fd(sys(SYS_creat, "f", 0600));
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(stat_of("f").st_size, 0);
  EXPECT_EQ(::fcntl(fd.get(), F_GETFL) & O_ACCMODE, O_WRONLY);
  EXPECT_EQ(sys(SYS_creat, "none/f", 0600), -ENOENT);
}

TEST_F(Open, NobodyCreatesADirectoryByOpen) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("f", "");
  const bool refused = linux_is_at_least(6, 4);
  for (int access : {O_RDONLY, O_RDWR}) {
    const int flags = access | O_CREAT | O_DIRECTORY;
    EXPECT_EQ(sys(SYS_open, "d", flags, 0644), refused ? -EINVAL : -EISDIR);
    EXPECT_EQ(sys(SYS_openat, AT_FDCWD, "f", flags, 0644), refused ? -EINVAL : -ENOTDIR);
    EXPECT_EQ(sys(SYS_open, "none/f", flags, 0644), refused ? -EINVAL : -ENOENT);
    EXPECT_EQ(sys(SYS_open, "d", flags | O_EXCL, 0644), refused ? -EINVAL : -EEXIST);
  }
}

TEST_F(Open, BadDescriptors) {
  write_file("f", "");
  EXPECT_EQ(sys(SYS_openat, 9999, "f", O_RDONLY), -EBADF);
  EXPECT_EQ(sys(SYS_openat, -1, "f", O_RDONLY), -EBADF);
  EXPECT_EQ(sys(SYS_openat, 9999, "", O_RDONLY), -ENOENT);
  Fd file = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_openat, file.get(), "f", O_RDONLY), -ENOTDIR);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  EXPECT_EQ(sys(SYS_openat, ends[0], "f", O_RDONLY), -ENOTDIR);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Open, Openat2ChecksItsStructure) {
  write_file("f", "");
  open_how how = {};
  EXPECT_EQ(sys(SYS_openat2, AT_FDCWD, "f", &how, sizeof(how) - 1), -EINVAL);
  how.mode = 0644;  // a mode without O_CREAT
  EXPECT_EQ(sys(SYS_openat2, AT_FDCWD, "f", &how, sizeof(how)), -EINVAL);
  how = {};
  how.flags = uint64_t{1} << 40U;
  EXPECT_EQ(sys(SYS_openat2, AT_FDCWD, "f", &how, sizeof(how)), -EINVAL);
  how = {};
  how.resolve = uint64_t{1} << 30U;
  EXPECT_EQ(sys(SYS_openat2, AT_FDCWD, "f", &how, sizeof(how)), -EINVAL);
  struct {
    open_how how;
    uint64_t more;
  } larger = {};
  EXPECT_TRUE(Fd(sys(SYS_openat2, AT_FDCWD, "f", &larger, sizeof(larger))).ok());
  larger.more = 1;
  EXPECT_EQ(sys(SYS_openat2, AT_FDCWD, "f", &larger, sizeof(larger)), -E2BIG);
}

TEST_F(Open, DotDotAndDots) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::mkdir("d/e", 0755), 0);
  write_file("d/f", "deep");
  EXPECT_EQ(read_file("d/e/../f"), "deep");
  EXPECT_EQ(read_file("./d/./e/.././f"), "deep");
  EXPECT_EQ(read_file("d//e//..///f"), "deep");
  EXPECT_EQ(read_file("d/none/../f"), "!ENOENT");
  EXPECT_EQ(stat_of("/..").st_ino, stat_of("/").st_ino);
  ASSERT_EQ(::symlink("d/e", "link"), 0);
  EXPECT_EQ(read_file("link/../f"), "deep");  // .. of where the link leads
}

TEST_F(Open, RelativeToADirectoryThatMoved) {
  ASSERT_EQ(::mkdir("old", 0755), 0);
  write_file("old/f", "moved");
  Fd base = open_fd("old", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::rename("old", "new"), 0);
  Fd fd(sys(SYS_openat, base.get(), "f", O_RDONLY));
  EXPECT_TRUE(fd.ok());
  Fd up(sys(SYS_openat, base.get(), "../new/f", O_RDONLY));
  EXPECT_TRUE(up.ok());
}

TEST_F(Open, InARemovedDirectory) {
  ASSERT_EQ(::mkdir("gone", 0755), 0);
  Fd base = open_fd("gone", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::rmdir("gone"), 0);
  EXPECT_EQ(sys(SYS_openat, base.get(), "f", O_RDWR | O_CREAT, 0644), -ENOENT);
  EXPECT_EQ(sys(SYS_openat, base.get(), "f", O_RDONLY), -ENOENT);
}

TEST_F(Open, ReopenedThroughProc) {
  write_file("f", "content");
  Fd path = open_fd("f", O_PATH);
  std::string link = "/proc/self/fd/" + std::to_string(path.get());
  EXPECT_EQ(read_file(link), "content");
  Fd writer = open_fd(link, O_WRONLY);
  EXPECT_EQ(::write(writer.get(), "C", 1), 1);
  EXPECT_EQ(read_file("f"), "Content");
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, link.c_str(), O_RDONLY | O_NOFOLLOW), -ELOOP);
}

TEST_F(Open, NamesOfAnyBytes) {
  for (const std::string& name :
       {std::string("with space"), std::string("new\nline"), std::string("\xff\xfe\x80"),
        std::string(".wh.file"), std::string(".wh..wh..opq"), std::string("..."),
        std::string("-rf"), std::string("\x01"), std::string("a:b\\c\"'`$"),
        std::string(255, 'n')}) {
    write_file(name, "content of " + name);
    EXPECT_EQ(read_file(name), "content of " + name);
    ASSERT_EQ(names_in("."), std::vector<std::string>{name});
    EXPECT_EQ(::unlink(name.c_str()), 0);
    EXPECT_EQ(names_in("."), std::vector<std::string>{});
  }
}

TEST_F(Open, DescriptorsRunOut) {
  write_file("f", "");
  EXPECT_TRUE(exited_with(run_child([] {
                            rlimit limit = {16, 16};
                            if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
                            int last = 0;
                            for (;;) {
                              long fd = sys(SYS_openat, AT_FDCWD, "f", O_RDONLY, 0);
                              if (fd < 0) return fd == -EMFILE && last == 15 ? 0 : 1;
                              last = static_cast<int>(fd);
                            }
                          }),
                          0));
}

/// The first rewritten call of a program may have to wait for memory: it is decided once all the
/// same, or O_EXCL would meet the file that it made itself.
TEST_F(Open, ExclusivelyAsTheFirstCallOfAProgram) {
  const char* script = "set -C; : >\"$0\" || exit 1; (: >\"$0\") 2>/dev/null && exit 2; exit 0";
  for (const char* name : {"first", "second", "third"}) {
    EXPECT_TRUE(exited_with(run_child([&] {
                              ::execl("/bin/sh", "sh", "-c", script, name, nullptr);
                              return 3;
                            }),
                            0))
        << name;
    EXPECT_TRUE(exists(name));
  }
}

}  // namespace
}  // namespace viewsh_test
