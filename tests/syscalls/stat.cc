// stat, lstat, fstat, newfstatat, statx, access, faccessat2, readlink, statfs: one truth.

#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Stat = SyscallTest;

void expect_same(const struct stat& a, const struct stat& b, const std::string& what) {
  EXPECT_EQ(a.st_dev, b.st_dev) << what;
  EXPECT_EQ(a.st_ino, b.st_ino) << what;
  EXPECT_EQ(a.st_mode, b.st_mode) << what;
  EXPECT_EQ(a.st_nlink, b.st_nlink) << what;
  EXPECT_EQ(a.st_uid, b.st_uid) << what;
  EXPECT_EQ(a.st_gid, b.st_gid) << what;
  EXPECT_EQ(a.st_size, b.st_size) << what;
  EXPECT_EQ(a.st_blocks, b.st_blocks) << what;
  EXPECT_EQ(a.st_mtim.tv_sec, b.st_mtim.tv_sec) << what;
  EXPECT_EQ(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec) << what;
  EXPECT_EQ(a.st_ctim.tv_sec, b.st_ctim.tv_sec) << what;
  EXPECT_EQ(a.st_ctim.tv_nsec, b.st_ctim.tv_nsec) << what;
}

// All calls that tell of `path` when links are (not) followed agree.
void expect_one_truth(const std::string& path, bool follow) {
  struct stat first;
  ASSERT_EQ(sys(follow ? SYS_stat : SYS_lstat, path.c_str(), &first), 0) << path;
  struct stat other;
  int flag = follow ? 0 : AT_SYMLINK_NOFOLLOW;
  ASSERT_EQ(sys(SYS_newfstatat, AT_FDCWD, path.c_str(), &other, flag), 0) << path;
  expect_same(first, other, path + " newfstatat");
  Fd fd(sys(SYS_openat, AT_FDCWD, path.c_str(), O_PATH | (follow ? 0 : O_NOFOLLOW)));
  ASSERT_TRUE(fd.ok());
  ASSERT_EQ(sys(SYS_fstat, fd.get(), &other), 0);
  expect_same(first, other, path + " fstat");
  ASSERT_EQ(sys(SYS_newfstatat, fd.get(), "", &other, AT_EMPTY_PATH), 0);
  expect_same(first, other, path + " AT_EMPTY_PATH");
  struct statx stx;
  ASSERT_EQ(sys(SYS_statx, AT_FDCWD, path.c_str(), flag, STATX_BASIC_STATS, &stx), 0);
  EXPECT_EQ(stx.stx_ino, first.st_ino) << path;
  EXPECT_EQ(stx.stx_mode, first.st_mode) << path;
  EXPECT_EQ(stx.stx_nlink, first.st_nlink) << path;
  EXPECT_EQ(stx.stx_size, static_cast<uint64_t>(first.st_size)) << path;
  EXPECT_EQ(stx.stx_blocks, static_cast<uint64_t>(first.st_blocks)) << path;
  EXPECT_EQ(makedev(stx.stx_dev_major, stx.stx_dev_minor), first.st_dev) << path;
  EXPECT_EQ(stx.stx_mtime.tv_sec, first.st_mtim.tv_sec) << path;
  EXPECT_EQ(stx.stx_mtime.tv_nsec, first.st_mtim.tv_nsec) << path;
}

TEST_F(Stat, AllVariantsAgree) {
  write_file("f", "content");
  ASSERT_EQ(::mkdir("d", 0700), 0);
  ASSERT_EQ(::symlink("f", "link"), 0);
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  ASSERT_EQ(::link("f", "second"), 0);
  for (const std::string& path :
       {std::string("f"), std::string("d"), std::string("link"), std::string("fifo"),
        std::string("second"), std::string("."), std::string(".."), std::string("/"), dir(),
        std::string("d/../f"), std::string("/etc/passwd"), std::string("/dev/null"),
        std::string("/usr/bin")}) {
    expect_one_truth(path, true);
    expect_one_truth(path, false);
  }
}

TEST_F(Stat, Fields) {
  write_file("f", "12345", 0640);
  struct stat st = stat_of("f");
  EXPECT_EQ(st.st_mode, S_IFREG | 0640U);
  EXPECT_EQ(st.st_size, 5);
  EXPECT_EQ(st.st_nlink, 1U);
  EXPECT_EQ(st.st_uid, ::geteuid());
  ASSERT_EQ(::symlink("a/target/of/some/length", "link"), 0);
  EXPECT_EQ(lstat_of("link").st_size, 23);
  EXPECT_EQ(lstat_of("link").st_mode, S_IFLNK | 0777U);
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  EXPECT_TRUE(S_ISFIFO(stat_of("fifo").st_mode));
}

TEST_F(Stat, AbsoluteLinkKeepsItsLength) {
  std::string target = at("some/where");
  ASSERT_EQ(::symlink(target.c_str(), "link"), 0);
  EXPECT_EQ(lstat_of("link").st_size, static_cast<off_t>(target.size()));
  EXPECT_EQ(read_link("link"), target);
}

TEST_F(Stat, WritesNoByteOutside) {
  write_file("f", "");
  Guarded<struct stat> st;
  EXPECT_EQ(sys(SYS_stat, "f", &st), 0);
  EXPECT_TRUE(st.intact());
  Guarded<struct stat> at_st;
  EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "f", &at_st, 0), 0);
  EXPECT_TRUE(at_st.intact());
  Guarded<struct statx> stx;
  EXPECT_EQ(sys(SYS_statx, AT_FDCWD, "f", 0, STATX_ALL, &stx), 0);
  EXPECT_TRUE(stx.intact());
  Guarded<struct statfs> fs;
  EXPECT_EQ(sys(SYS_statfs, "f", &fs), 0);
  EXPECT_TRUE(fs.intact());
}

TEST_F(Stat, Errors) {
  struct stat st;
  write_file("f", "");
  EXPECT_EQ(sys(SYS_stat, "none", &st), -ENOENT);
  EXPECT_EQ(sys(SYS_stat, "", &st), -ENOENT);
  EXPECT_EQ(sys(SYS_stat, "f/x", &st), -ENOTDIR);
  EXPECT_EQ(sys(SYS_lstat, "f/", &st), -ENOTDIR);
  EXPECT_EQ(sys(SYS_newfstatat, 9999, "f", &st, 0), -EBADF);
  EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "f", &st, 0x40000000), -EINVAL);
  EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "", &st, 0), -ENOENT);
  EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH), 0);
  EXPECT_EQ(st.st_ino, stat_of(".").st_ino);
  struct statx stx;
  EXPECT_EQ(sys(SYS_statx, AT_FDCWD, "f", 0, 0x80000000U, &stx), -EINVAL);
  EXPECT_EQ(sys(SYS_statx, AT_FDCWD, "f", AT_STATX_SYNC_TYPE, 0, &stx), -EINVAL);
}

TEST_F(Stat, TrailingSlashFollows) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::symlink("d", "link"), 0);
  struct stat st;
  EXPECT_EQ(sys(SYS_lstat, "link/", &st), 0);
  EXPECT_TRUE(S_ISDIR(st.st_mode));
  EXPECT_EQ(sys(SYS_lstat, "link", &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
}

TEST_F(Stat, StatxOfADescriptor) {
  write_file("f", "abc");
  Fd fd = open_fd("f", O_RDONLY);
  struct statx stx;
  ASSERT_EQ(sys(SYS_statx, fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &stx), 0);
  EXPECT_EQ(stx.stx_size, 3U);
  EXPECT_EQ(stx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
  ASSERT_EQ(::unlink("f"), 0);
  ASSERT_EQ(sys(SYS_statx, fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx), 0);
  EXPECT_EQ(stx.stx_nlink, 0U);
}

TEST_F(Stat, InodesAreStable) {
  write_file("f", "a");
  ino_t before = stat_of("f").st_ino;
  Fd fd = open_fd("f", O_RDWR);
  EXPECT_EQ(::write(fd.get(), "more", 4), 4);
  EXPECT_EQ(::fchmod(fd.get(), 0600), 0);
  EXPECT_EQ(stat_of("f").st_ino, before);
  ASSERT_EQ(::rename("f", "g"), 0);
  EXPECT_EQ(stat_of("g").st_ino, before);
  ASSERT_EQ(::link("g", "h"), 0);
  EXPECT_EQ(stat_of("h").st_ino, before);
  EXPECT_EQ(stat_of("h").st_nlink, 2U);
}

TEST_F(Stat, ReadlinkVariants) {
  ASSERT_EQ(::symlink("0123456789", "link"), 0);
  Guarded<std::array<char, 4>> buffer;
  EXPECT_EQ(sys(SYS_readlink, "link", (*buffer).data(), 4), 4);
  EXPECT_EQ(std::string((*buffer).data(), 4), "0123");
  EXPECT_TRUE(buffer.intact());
  std::array<char, 64> large = {};
  EXPECT_EQ(sys(SYS_readlinkat, AT_FDCWD, "link", large.data(), large.size()), 10);
  EXPECT_EQ(large[10], '\0');  // no terminator of ours, none after it
  EXPECT_EQ(sys(SYS_readlink, "link", large.data(), 0), -EINVAL);
  write_file("f", "");
  EXPECT_EQ(sys(SYS_readlink, "f", large.data(), 64), -EINVAL);
  EXPECT_EQ(sys(SYS_readlink, "none", large.data(), 64), -ENOENT);
  EXPECT_EQ(sys(SYS_readlink, "link/", large.data(), 64), -ENOENT);
  Fd file = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_readlinkat, file.get(), "", large.data(), 64), -ENOENT);
}

TEST_F(Stat, AccessVariants) {
  write_file("f", "", 0444);
  write_file("x", "", 0755);
  ASSERT_EQ(::symlink("none", "dangling"), 0);
  EXPECT_EQ(sys(SYS_access, "f", F_OK), 0);
  EXPECT_EQ(sys(SYS_access, "f", R_OK), 0);
  EXPECT_EQ(sys(SYS_access, "none", F_OK), -ENOENT);
  EXPECT_EQ(sys(SYS_access, "f", X_OK), -EACCES);
  EXPECT_EQ(sys(SYS_access, "x", X_OK), 0);
  EXPECT_EQ(sys(SYS_access, "f", 8), -EINVAL);
  EXPECT_EQ(sys(SYS_faccessat, AT_FDCWD, "f", R_OK), 0);
  EXPECT_EQ(sys(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS), 0);
  EXPECT_EQ(sys(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, 0), -ENOENT);
  EXPECT_EQ(sys(SYS_faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW), 0);
  Fd fd = open_fd("f", O_PATH);
  EXPECT_EQ(sys(SYS_faccessat2, fd.get(), "", R_OK, AT_EMPTY_PATH), 0);
  EXPECT_EQ(sys(SYS_faccessat2, AT_FDCWD, "f", R_OK, 0x10000), -EINVAL);
  if (::geteuid() != 0) {
    EXPECT_EQ(sys(SYS_access, "f", W_OK), -EACCES);
    EXPECT_EQ(sys(SYS_faccessat2, AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS), -EACCES);
  }
}

TEST_F(Stat, FileSystemVariants) {
  struct statfs by_path;
  struct statfs by_fd;
  ASSERT_EQ(sys(SYS_statfs, ".", &by_path), 0);
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(sys(SYS_fstatfs, fd.get(), &by_fd), 0);
  EXPECT_EQ(by_path.f_type, by_fd.f_type);
  EXPECT_EQ(by_path.f_bsize, by_fd.f_bsize);
  EXPECT_EQ(by_path.f_namelen, by_fd.f_namelen);
  EXPECT_GT(by_path.f_blocks, 0U);
  EXPECT_EQ(sys(SYS_statfs, "none", &by_path), -ENOENT);
}

}  // namespace
}  // namespace viewsh_test
