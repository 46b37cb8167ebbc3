// mkdir, rmdir, unlink, link, symlink, mknod, chdir, getcwd and their *at variants.

#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Namei = SyscallTest;

TEST_F(Namei, MkdirVariants) {
  ::umask(022);
  EXPECT_EQ(sys(SYS_mkdir, "a", 0777), 0);
  EXPECT_EQ(stat_of("a").st_mode, S_IFDIR | 0755U);
  EXPECT_EQ(sys(SYS_mkdirat, AT_FDCWD, "b/", 0700), 0);
  Fd base = open_fd("a", O_PATH);
  EXPECT_EQ(sys(SYS_mkdirat, base.get(), "c", 01777), 0);
  EXPECT_EQ(stat_of("a/c").st_mode, S_IFDIR | 01755U);
  EXPECT_EQ(sys(SYS_mkdir, "a", 0777), -EEXIST);
  EXPECT_EQ(sys(SYS_mkdir, "none/d", 0777), -ENOENT);
  EXPECT_EQ(sys(SYS_mkdir, ".", 0777), -EEXIST);
  EXPECT_EQ(sys(SYS_mkdir, "/", 0777), -EEXIST);
  EXPECT_EQ(sys(SYS_mkdir, "a/new/.", 0777), -ENOENT);
  EXPECT_EQ(sys(SYS_mkdir, "", 0777), -ENOENT);
  write_file("f", "");
  EXPECT_EQ(sys(SYS_mkdir, "f", 0777), -EEXIST);
  EXPECT_EQ(sys(SYS_mkdir, "f/d", 0777), -ENOTDIR);
  ASSERT_EQ(::symlink("nowhere", "dangling"), 0);
  EXPECT_EQ(sys(SYS_mkdir, "dangling", 0777), -EEXIST);
  EXPECT_EQ(stat_of("a").st_nlink == 1 || stat_of("a").st_nlink == 3, true);
}

TEST_F(Namei, RmdirVariants) {
  ASSERT_EQ(::mkdir("a", 0755), 0);
  ASSERT_EQ(::mkdir("a/b", 0755), 0);
  EXPECT_EQ(sys(SYS_rmdir, "a"), -ENOTEMPTY);
  EXPECT_EQ(sys(SYS_rmdir, "a/b/."), -EINVAL);
  EXPECT_EQ(sys(SYS_rmdir, "a/b/.."), -ENOTEMPTY);
  EXPECT_EQ(sys(SYS_unlinkat, AT_FDCWD, "a/b", AT_REMOVEDIR), 0);
  EXPECT_EQ(sys(SYS_rmdir, "a/"), 0);
  EXPECT_EQ(sys(SYS_rmdir, "a"), -ENOENT);
  write_file("f", "");
  EXPECT_EQ(sys(SYS_rmdir, "f"), -ENOTDIR);
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::symlink("d", "link"), 0);
  EXPECT_EQ(sys(SYS_rmdir, "link"), -ENOTDIR);
  EXPECT_EQ(sys(SYS_rmdir, "link/"), -ENOTDIR);
  EXPECT_EQ(sys(SYS_rmdir, "/"), -EBUSY);
}

TEST_F(Namei, UnlinkVariants) {
  write_file("f", "");
  write_file("g", "");
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::symlink("g", "link"), 0);
  EXPECT_EQ(sys(SYS_unlink, "f"), 0);
  EXPECT_EQ(sys(SYS_unlink, "f"), -ENOENT);
  EXPECT_EQ(sys(SYS_unlinkat, AT_FDCWD, "link", 0), 0);
  EXPECT_TRUE(exists("g"));
  EXPECT_EQ(sys(SYS_unlink, "g/"), -ENOTDIR);
  EXPECT_EQ(sys(SYS_unlink, "d"), -EISDIR);
  EXPECT_EQ(sys(SYS_unlinkat, AT_FDCWD, "d", 0), -EISDIR);
  EXPECT_EQ(sys(SYS_unlinkat, AT_FDCWD, "g", AT_REMOVEDIR), -ENOTDIR);
  EXPECT_EQ(sys(SYS_unlinkat, AT_FDCWD, "g", 0x10000), -EINVAL);
  EXPECT_EQ(sys(SYS_unlink, "."), -EISDIR);
  EXPECT_EQ(sys(SYS_unlink, ""), -ENOENT);
  EXPECT_EQ(names_in("."), (std::vector<std::string>{"d", "g"}));
}

TEST_F(Namei, MadeAgainAfterRemovalIsEmpty) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(::mkdir("d", 0755), 0);
    EXPECT_EQ(names_in("d"), std::vector<std::string>{});
    write_file("d/f", "content");
    ASSERT_EQ(::mkdir("d/sub", 0755), 0);
    ASSERT_EQ(::unlink("d/f"), 0);
    ASSERT_EQ(::rmdir("d/sub"), 0);
    ASSERT_EQ(::rmdir("d"), 0);
  }
  write_file("d", "now a file");
  EXPECT_EQ(read_file("d"), "now a file");
  ASSERT_EQ(::unlink("d"), 0);
  ASSERT_EQ(::symlink("elsewhere", "d"), 0);
  EXPECT_EQ(read_link("d"), "elsewhere");
}

TEST_F(Namei, HardLinks) {
  write_file("f", "content");
  EXPECT_EQ(sys(SYS_link, "f", "g"), 0);
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, "h", 0), 0);
  EXPECT_EQ(stat_of("h").st_nlink, 3U);
  EXPECT_EQ(stat_of("h").st_ino, stat_of("f").st_ino);
  write_file("g", "through g");
  EXPECT_EQ(read_file("h"), "through g");
  EXPECT_EQ(sys(SYS_link, "f", "g"), -EEXIST);
  EXPECT_EQ(sys(SYS_link, "none", "i"), -ENOENT);
  EXPECT_EQ(sys(SYS_link, "f", "none/i"), -ENOENT);
  EXPECT_EQ(sys(SYS_link, "f", "new/"), -ENOENT);
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_EQ(sys(SYS_link, "d", "e"), -EPERM);
  ASSERT_EQ(::unlink("f"), 0);
  EXPECT_EQ(stat_of("g").st_nlink, 2U);
}

TEST_F(Namei, LinkToALink) {
  write_file("f", "content");
  ASSERT_EQ(::symlink("f", "sym"), 0);
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "sym", AT_FDCWD, "same", 0), 0);
  EXPECT_TRUE(S_ISLNK(lstat_of("same").st_mode));
  EXPECT_EQ(lstat_of("same").st_ino, lstat_of("sym").st_ino);
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "sym", AT_FDCWD, "file", AT_SYMLINK_FOLLOW), 0);
  EXPECT_TRUE(S_ISREG(lstat_of("file").st_mode));
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, "x", 0x10000), -EINVAL);
}

TEST_F(Namei, SymlinkVariants) {
  EXPECT_EQ(sys(SYS_symlink, "any/target", "a"), 0);
  Fd base = open_fd(".", O_PATH);
  EXPECT_EQ(sys(SYS_symlinkat, "../x", base.get(), "b"), 0);
  EXPECT_EQ(read_link("a"), "any/target");
  EXPECT_EQ(read_link("b"), "../x");
  EXPECT_EQ(sys(SYS_symlink, "t", "a"), -EEXIST);
  EXPECT_EQ(sys(SYS_symlink, "", "c"), -ENOENT);
  EXPECT_EQ(sys(SYS_symlink, "t", ""), -ENOENT);
  EXPECT_EQ(sys(SYS_symlink, "t", "c/"), -ENOENT);
  EXPECT_EQ(sys(SYS_symlink, "t", "none/c"), -ENOENT);
  EXPECT_EQ(sys(SYS_symlink, std::string(4096, 't').c_str(), "c"), -ENAMETOOLONG);
  std::string longest(4095, 't');
  EXPECT_EQ(sys(SYS_symlink, longest.c_str(), "c"), 0);
  EXPECT_EQ(read_link("c"), longest);
}

TEST_F(Namei, SpecialNodes) {
  EXPECT_EQ(sys(SYS_mknod, "fifo", S_IFIFO | 0640, 0), 0);
  EXPECT_EQ(stat_of("fifo").st_mode, S_IFIFO | 0640U);
  EXPECT_EQ(sys(SYS_mknodat, AT_FDCWD, "sock", S_IFSOCK | 0600, 0), 0);
  EXPECT_TRUE(S_ISSOCK(stat_of("sock").st_mode));
  EXPECT_EQ(sys(SYS_mknod, "plain", S_IFREG | 0600, 0), 0);
  EXPECT_EQ(stat_of("plain").st_mode, S_IFREG | 0600U);
  EXPECT_EQ(sys(SYS_mknod, "zero_type", 0600, 0), 0);
  EXPECT_TRUE(S_ISREG(stat_of("zero_type").st_mode));
  EXPECT_EQ(sys(SYS_mknod, "fifo", S_IFIFO | 0640, 0), -EEXIST);
  if (::geteuid() != 0) {
    EXPECT_EQ(sys(SYS_mknod, "null", S_IFCHR | 0600, makedev(1, 3)), -EPERM);
  }
}

TEST_F(Namei, ChdirAndGetcwd) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::symlink("d", "link"), 0);
  write_file("f", "");
  std::array<char, 4096> buffer = {};
  EXPECT_EQ(sys(SYS_chdir, "link"), 0);
  EXPECT_EQ(sys(SYS_getcwd, buffer.data(), buffer.size()),
            static_cast<long>(dir().size() + 3));  // with its NUL
  EXPECT_EQ(std::string(buffer.data()), dir() + "/d");
  EXPECT_EQ(read_link("/proc/self/cwd"), dir() + "/d");
  EXPECT_EQ(sys(SYS_chdir, ".."), 0);
  EXPECT_EQ(sys(SYS_chdir, "f"), -ENOTDIR);
  EXPECT_EQ(sys(SYS_chdir, "none"), -ENOENT);
  EXPECT_EQ(sys(SYS_chdir, ""), -ENOENT);
  Fd fd = open_fd("d", O_PATH);
  EXPECT_EQ(sys(SYS_fchdir, fd.get()), 0);
  EXPECT_EQ(sys(SYS_getcwd, buffer.data(), 4), -ERANGE);
  EXPECT_EQ(sys(SYS_getcwd, buffer.data(), 0), -ERANGE);
  ASSERT_EQ(::rename("../d", "../renamed"), 0);
  EXPECT_GT(sys(SYS_getcwd, buffer.data(), buffer.size()), 0);
  EXPECT_EQ(std::string(buffer.data()), dir() + "/renamed");
  EXPECT_EQ(sys(SYS_fchdir, 9999), -EBADF);
  Fd file = open_fd("../f", O_RDONLY);
  EXPECT_EQ(sys(SYS_fchdir, file.get()), -ENOTDIR);
  ASSERT_EQ(::chdir(dir().c_str()), 0);
}

TEST_F(Namei, RemovedWorkingDirectory) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::chdir("d"), 0);
  ASSERT_EQ(::rmdir("../d"), 0);
  std::array<char, 4096> buffer = {};
  EXPECT_EQ(sys(SYS_getcwd, buffer.data(), buffer.size()), -ENOENT);
  EXPECT_EQ(sys(SYS_mkdir, "x", 0755), -ENOENT);
  struct stat st;
  EXPECT_EQ(sys(SYS_stat, ".", &st), 0);
  EXPECT_EQ(read_link("/proc/self/cwd"), dir() + "/d (deleted)");
  EXPECT_EQ(sys(SYS_chdir, ".."), 0);
  EXPECT_GT(sys(SYS_getcwd, buffer.data(), buffer.size()), 0);
  EXPECT_EQ(std::string(buffer.data()), dir());
}

TEST_F(Namei, GetcwdWritesNoMoreThanItSays) {
  Guarded<std::array<char, 4096>> buffer;
  std::memset((*buffer).data(), 'Z', 4096);
  long n = sys(SYS_getcwd, (*buffer).data(), 4096);
  ASSERT_EQ(n, static_cast<long>(dir().size() + 1));
  EXPECT_EQ((*buffer)[static_cast<size_t>(n)], 'Z');
  EXPECT_TRUE(buffer.intact());
}

TEST_F(Namei, DeepDirectories) {
  std::string name(200, 'd');
  constexpr int kDepth = 30;  // 6,000 bytes: longer than any path that a call may take
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdir(name.c_str(), 0755), 0);
    ASSERT_EQ(::chdir(name.c_str()), 0);
  }
  write_file("f", "deep");
  EXPECT_EQ(read_file("f"), "deep");
  EXPECT_EQ(read_file("../" + name + "/f"), "deep");
  std::array<char, 8192> buffer = {};
  EXPECT_EQ(sys(SYS_getcwd, buffer.data(), buffer.size()), -ENAMETOOLONG);
  {
    Fd here = open_fd(".", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(sys(SYS_mkdirat, here.get(), "sub", 0755), 0);
    EXPECT_EQ(names_in("."), (std::vector<std::string>{"f", "sub"}));
    EXPECT_EQ(sys(SYS_renameat, here.get(), "f", here.get(), "sub/g"), 0);
    EXPECT_EQ(sys(SYS_linkat, here.get(), "sub/g", AT_FDCWD, "f", 0), 0);
    EXPECT_EQ(stat_of("f").st_nlink, 2U);
    EXPECT_EQ(sys(SYS_symlinkat, "f", here.get(), "s"), 0);
    EXPECT_EQ(read_link("s"), "f");
    EXPECT_EQ(sys(SYS_fchmodat, here.get(), "f", 0600), 0);
    EXPECT_EQ(stat_of("sub/g").st_mode, S_IFREG | 0600U);
    EXPECT_EQ(sys(SYS_unlinkat, here.get(), "sub/g", 0), 0);
    EXPECT_EQ(sys(SYS_fchdir, here.get()), 0);
    EXPECT_EQ(sys(SYS_unlinkat, here.get(), "sub", AT_REMOVEDIR), 0);
    EXPECT_EQ(sys(SYS_unlink, "s"), 0);
    EXPECT_EQ(names_in("."), std::vector<std::string>{"f"});
  }
  ASSERT_EQ(::unlink("f"), 0);
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::chdir(".."), 0);
    ASSERT_EQ(::rmdir(name.c_str()), 0);
  }
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
}

TEST_F(Namei, Umask) {
  EXPECT_EQ(sys(SYS_umask, 077), 022);
  ASSERT_EQ(::mkdir("d", 0777), 0);
  EXPECT_EQ(stat_of("d").st_mode, S_IFDIR | 0700U);
  EXPECT_EQ(sys(SYS_umask, 0), 077);
  ASSERT_EQ(::mkfifo("fifo", 0666), 0);
  EXPECT_EQ(stat_of("fifo").st_mode, S_IFIFO | 0666U);
  ::umask(022);
}

TEST_F(Namei, StickyDirectoriesAndClosedOnes) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/f", "");
  ASSERT_EQ(::mkdir("d/e", 0755), 0);
  ASSERT_EQ(::chmod("d", 0555), 0);
  EXPECT_EQ(sys(SYS_rename, "d/f", "d/g"), refused(EACCES));
  EXPECT_EQ(sys(SYS_link, mode() == Mode::kMincow ? "d/g" : "d/f", "d/new"), refused(EACCES));
  EXPECT_EQ(sys(SYS_unlink, mode() == Mode::kMincow ? "d/new" : "d/f"), refused(EACCES));
  EXPECT_EQ(sys(SYS_rmdir, "d/e"), refused(EACCES));
  EXPECT_EQ(sys(SYS_mkdir, "d/new", 0755), refused(EACCES));
  EXPECT_EQ(sys(SYS_symlink, "x", "d/link"), refused(EACCES));
  ASSERT_EQ(::chmod("d", 0755), 0);
}

TEST_F(Namei, NamesAreBytes) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  EXPECT_EQ(sys(SYS_mkdir, std::string(256, 'x').c_str(), 0755), -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_mkdir, std::string(255, 'x').c_str(), 0755), 0);
  std::string slashes(4090, '/');
  EXPECT_EQ(sys(SYS_access, (slashes + "proc").c_str(), F_OK), 0);
  EXPECT_EQ(sys(SYS_access, (slashes + "processes").c_str(), F_OK), -ENAMETOOLONG);
}

TEST_F(Namei, SlashesAndDotsAtTheEndOfWhatIsRemoved) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("f", "");
  ASSERT_EQ(::symlink("d", "to-d"), 0);
  EXPECT_EQ(sys(SYS_unlink, "to-d/"), -ENOTDIR);
  EXPECT_EQ(sys(SYS_unlink, "none/"), -ENOENT);
  EXPECT_EQ(sys(SYS_unlink, "d/"), -EISDIR);
  EXPECT_EQ(sys(SYS_unlink, "d/.."), -EISDIR);
  EXPECT_EQ(sys(SYS_rmdir, "to-d/"), -ENOTDIR);
  EXPECT_EQ(sys(SYS_rmdir, "f/."), -ENOTDIR);
  EXPECT_EQ(sys(SYS_rmdir, "f/.."), -ENOTDIR);
  EXPECT_EQ(sys(SYS_rmdir, "none/.."), -ENOENT);
  EXPECT_EQ(sys(SYS_rmdir, "d/."), -EINVAL);
  ASSERT_EQ(::symlink("none", "dangling"), 0);
  EXPECT_EQ(sys(SYS_mkdir, "dangling/", 0755), -EEXIST);
  EXPECT_EQ(sys(SYS_symlink, "x", "dangling/"), -EEXIST);
  EXPECT_EQ(sys(SYS_link, "f", "dangling/"), -EEXIST);
  EXPECT_EQ(sys(SYS_link, "f", "to-d/"), -EEXIST);
  EXPECT_EQ(sys(SYS_link, "f", "none/"), -ENOENT);
  EXPECT_EQ(sys(SYS_symlink, "x", "none/"), -ENOENT);
  EXPECT_EQ(sys(SYS_open, "f/", O_WRONLY | O_CREAT, 0644), -EISDIR);
  EXPECT_EQ(sys(SYS_open, "none/x/", O_WRONLY | O_CREAT, 0644), -ENOENT);
}

TEST_F(Namei, DotsAreSearchedForToo) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  ASSERT_EQ(::mkdir("d", 0600), 0);
  write_file("f", "");
  struct stat st {};
  EXPECT_EQ(sys(SYS_stat, "d/../f", &st), -EACCES);
  EXPECT_EQ(sys(SYS_stat, "d/../none", &st), -EACCES);
  EXPECT_EQ(sys(SYS_stat, "d/.", &st), -EACCES);
  EXPECT_EQ(sys(SYS_stat, "d/", &st), 0);
  EXPECT_EQ(sys(SYS_mkdir, "d/../new", 0755), -EACCES);
  EXPECT_EQ(sys(SYS_open, "d/.", O_RDONLY | O_DIRECTORY), -EACCES);
  Fd dir(sys(SYS_open, "d", O_RDONLY | O_DIRECTORY));
  EXPECT_TRUE(dir.ok());
  EXPECT_EQ(sys(SYS_openat, dir.get(), ".", O_RDONLY), -EACCES);
}

TEST_F(Namei, LinkLooksForTheOldNameFirst) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is asked nothing";
  ASSERT_EQ(::mkdir("closed", 0600), 0);
  write_file("f", "");
  EXPECT_EQ(sys(SYS_link, "none", "closed/x"), -ENOENT);
  EXPECT_EQ(sys(SYS_link, "none", "f/x"), -ENOENT);
  EXPECT_EQ(sys(SYS_link, "f", "closed/x"), -EACCES);
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "/proc/self/fd/999", AT_FDCWD, "closed/x", AT_SYMLINK_FOLLOW),
            -ENOENT);
}

TEST_F(Namei, FilesMadeWithoutANameGetSeveral) {
  Fd fd(sys(SYS_open, ".", O_TMPFILE | O_RDWR, 0644));
  if (!fd.ok()) GTEST_SKIP() << "no O_TMPFILE on this file system";
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, self.c_str(), AT_FDCWD, name, AT_SYMLINK_FOLLOW), 0);
  }
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, self.c_str(), AT_FDCWD, "a", AT_SYMLINK_FOLLOW), -EEXIST);
  EXPECT_EQ(stat_of("a").st_nlink, 2U);
  EXPECT_EQ(stat_of("a").st_ino, stat_of("b").st_ino);
  EXPECT_EQ(sys(SYS_mkdirat, fd.get(), "x", 0755), -ENOTDIR);
}

TEST_F(Namei, ARemovedDirectoryHasNoNamesBehindItsLinkInProc) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  Fd fd = open_fd("d", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::rmdir("d"), 0);
  const std::string name = "/proc/self/fd/" + std::to_string(fd.get()) + "/x";
  struct stat st {};
  EXPECT_EQ(sys(SYS_stat, name.c_str(), &st), -ENOENT);
  EXPECT_EQ(sys(SYS_open, name.c_str(), O_RDONLY), -ENOENT);
  EXPECT_EQ(sys(SYS_open, name.c_str(), O_WRONLY | O_CREAT, 0644), -ENOENT);
}

}  // namespace
}  // namespace viewsh_test
