// Descriptors: dup, O_TMPFILE and linkat, /proc/self/fd, unlinked open files, passing, memfd.

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>

#include "support.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace viewsh_test {
namespace {

using FdTest = SyscallTest;

std::string proc_fd(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

TEST_F(FdTest, DupVariants) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDONLY | O_CLOEXEC);
  Fd copy(sys(SYS_dup, fd.get()));
  EXPECT_EQ(::fcntl(copy.get(), F_GETFD), 0);
  EXPECT_EQ(sys(SYS_dup2, fd.get(), 100), 100);
  EXPECT_EQ(sys(SYS_dup3, fd.get(), 101, O_CLOEXEC), 101);
  EXPECT_EQ(sys(SYS_dup3, fd.get(), fd.get(), 0), -EINVAL);
  EXPECT_EQ(::fcntl(101, F_GETFD), FD_CLOEXEC);
  EXPECT_GE(::fcntl(fd.get(), F_DUPFD, 200), 200);
  char c = 0;
  EXPECT_EQ(::read(100, &c, 1), 1);
  EXPECT_EQ(::read(101, &c, 1), 1);
  EXPECT_EQ(::read(200, &c, 1), 1);
  EXPECT_EQ(c, '2');
  for (int n : {100, 101, 200}) EXPECT_EQ(::close(n), 0);
  EXPECT_EQ(sys(SYS_dup2, 9999, 100), -EBADF);
  EXPECT_EQ(::read(fd.get(), &c, 1), 1);
  EXPECT_EQ(c, '3');
}

TEST_F(FdTest, CloseRange) {
  write_file("f", "");
  EXPECT_TRUE(exited_with(run_child([] {
                            for (int i = 0; i < 5; ++i) {
                              if (sys(SYS_openat, AT_FDCWD, "f", O_RDONLY) < 0) return 1;
                            }
                            if (sys(SYS_close_range, 3, ~0U, 0) != 0) return 2;
                            for (int fd = 3; fd < 100; ++fd) {
                              if (::fcntl(fd, F_GETFD) >= 0) return 3;
                            }
                            return sys(SYS_openat, AT_FDCWD, "f", O_RDONLY) == 3 ? 0 : 4;
                          }),
                          0));
}

TEST_F(FdTest, ProcNamesWhatIsOpen) {
  write_file("f", "");
  ASSERT_EQ(::mkdir("d", 0755), 0);
  Fd file = open_fd("f", O_RDONLY);
  Fd folder = open_fd("d", O_RDONLY | O_DIRECTORY);
  Fd path = open_fd("f", O_PATH);
  EXPECT_EQ(read_link(proc_fd(file.get())), at("f"));
  EXPECT_EQ(read_link(proc_fd(folder.get())), at("d"));
  EXPECT_EQ(read_link(proc_fd(path.get())), at("f"));
  ASSERT_EQ(::rename("f", "g"), 0);
  EXPECT_EQ(read_link(proc_fd(file.get())), at("g"));
  ASSERT_EQ(::unlink("g"), 0);
  EXPECT_EQ(read_link(proc_fd(file.get())), at("g") + " (deleted)");
}

TEST_F(FdTest, ProcThroughOtherNames) {
  write_file("f", "content");
  Fd fd = open_fd("f", O_RDONLY);
  std::string number = std::to_string(fd.get());
  EXPECT_EQ(read_file("/dev/fd/" + number), "content");
  EXPECT_EQ(read_file("/proc/" + std::to_string(::getpid()) + "/fd/" + number), "content");
  EXPECT_EQ(read_file("/proc/thread-self/fd/" + number), "content");
  Fd folder = open_fd(".", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(read_file(proc_fd(folder.get()) + "/f"), "content");
  EXPECT_EQ(read_file(proc_fd(folder.get()) + "/../" + dir().substr(dir().rfind('/') + 1) + "/f"),
            "content");
  EXPECT_EQ(read_file(proc_fd(9999)), "!ENOENT");
}

TEST_F(FdTest, ProcListsThem) {
  write_file("f", "");
  Fd fd = open_fd("f", O_RDONLY);
  std::vector<std::string> seen = names_in("/proc/self/fd");
  EXPECT_NE(std::find(seen.begin(), seen.end(), std::to_string(fd.get())), seen.end());
  struct stat st = lstat_of(proc_fd(fd.get()));
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_EQ(stat_of(proc_fd(fd.get())).st_ino, stat_of("f").st_ino);
}

TEST_F(FdTest, UnlinkedFileLivesOn) {
  write_file("f", "still here");
  Fd fd = open_fd("f", O_RDWR);
  ASSERT_EQ(::unlink("f"), 0);
  struct stat st;
  ASSERT_EQ(::fstat(fd.get(), &st), 0);
  EXPECT_EQ(st.st_nlink, 0U);
  EXPECT_EQ(read_file(proc_fd(fd.get())), "still here");
  EXPECT_EQ(::pwrite(fd.get(), "S", 1, 0), 1);
  EXPECT_EQ(::ftruncate(fd.get(), 5), 0);
  EXPECT_EQ(::fchmod(fd.get(), 0600), 0);
  write_file("f", "another");
  EXPECT_EQ(read_file(proc_fd(fd.get())), "Still");
  EXPECT_EQ(read_file("f"), "another");
}

TEST_F(FdTest, UnlinkedFileIsNotLinkedBack) {
  write_file("f", "x");
  Fd fd = open_fd("f", O_RDONLY);
  ASSERT_EQ(::unlink("f"), 0);
  EXPECT_EQ(
      sys(SYS_linkat, AT_FDCWD, proc_fd(fd.get()).c_str(), AT_FDCWD, "back", AT_SYMLINK_FOLLOW),
      -ENOENT);
  EXPECT_FALSE(exists("back"));
}

TEST_F(FdTest, LinkThroughProc) {
  write_file("f", "content");
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(
      sys(SYS_linkat, AT_FDCWD, proc_fd(fd.get()).c_str(), AT_FDCWD, "second", AT_SYMLINK_FOLLOW),
      0);
  EXPECT_EQ(stat_of("second").st_ino, stat_of("f").st_ino);
}

TEST_F(FdTest, TemporaryFileWithoutAName) {
  long result = sys(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0640);
  if (result == -EOPNOTSUPP) GTEST_SKIP() << "this file system has no O_TMPFILE";
  Fd fd(result);
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(::write(fd.get(), "anonymous", 9), 9);
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
  EXPECT_EQ(
      sys(SYS_linkat, AT_FDCWD, proc_fd(fd.get()).c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW),
      0);
  EXPECT_EQ(read_file("named"), "anonymous");
  EXPECT_EQ(stat_of("named").st_mode, S_IFREG | 0640U);
  Fd exclusive(sys(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
  ASSERT_TRUE(exclusive.ok());
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, proc_fd(exclusive.get()).c_str(), AT_FDCWD, "never",
                AT_SYMLINK_FOLLOW),
            -ENOENT);
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, ".", O_TMPFILE, 0600), -EINVAL);
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, "none", O_TMPFILE | O_RDWR, 0600), -ENOENT);
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, "named", O_TMPFILE | O_RDWR, 0600), -ENOTDIR);
}

/// Since Linux 6.10 whoever opened a file may give it another name by its descriptor.
bool links_by_descriptor() {
  utsname name;
  int major = 0;
  int minor = 0;
  ::uname(&name);
  std::sscanf(name.release, "%d.%d", &major, &minor);
  return major > 6 || (major == 6 && minor >= 10) || ::geteuid() == 0;
}

TEST_F(FdTest, TemporaryFileNamedByItsDescriptor) {
  long result = sys(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0640);
  if (result == -EOPNOTSUPP) GTEST_SKIP() << "this file system has no O_TMPFILE";
  Fd fd(result);
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(::write(fd.get(), "anonymous", 9), 9);
  write_file("there", "");
  if (!links_by_descriptor()) {
    EXPECT_EQ(sys(SYS_linkat, fd.get(), "", AT_FDCWD, "named", AT_EMPTY_PATH), -ENOENT);
    return;
  }
  EXPECT_EQ(sys(SYS_linkat, fd.get(), "", AT_FDCWD, "there", AT_EMPTY_PATH), -EEXIST);
  ASSERT_EQ(sys(SYS_linkat, fd.get(), "", AT_FDCWD, "named", AT_EMPTY_PATH), 0);
  EXPECT_EQ(read_file("named"), "anonymous");
  EXPECT_EQ(stat_of("named").st_mode, S_IFREG | 0640U);
  EXPECT_EQ(::write(fd.get(), "!", 1), 1);
  EXPECT_EQ(read_file("named"), "anonymous!");
  Fd exclusive(sys(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
  EXPECT_EQ(sys(SYS_linkat, exclusive.get(), "", AT_FDCWD, "never", AT_EMPTY_PATH), -ENOENT);
  Fd gone = open_fd("gone", O_RDWR | O_CREAT);
  ASSERT_EQ(::unlink("gone"), 0);
  EXPECT_EQ(sys(SYS_linkat, gone.get(), "", AT_FDCWD, "never", AT_EMPTY_PATH), -ENOENT);
  Fd folder = open_fd(".", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(sys(SYS_linkat, folder.get(), "", AT_FDCWD, "never", AT_EMPTY_PATH), -EPERM);
  EXPECT_FALSE(exists("never"));
}

TEST_F(FdTest, TrailingSlashBehindALinkOfProcfs) {
  write_file("f", "");
  Fd file = open_fd("f", O_RDONLY | O_CLOEXEC);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::mkdir("d", 0755), 0);
  Fd folder = open_fd("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat st;
  for (int fd : {file.get(), ends[0]}) {
    for (const char* tail : {"/", "/.", "/x"}) {
      std::string path = proc_fd(fd) + tail;
      EXPECT_EQ(sys(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK), -ENOTDIR) << path;
      EXPECT_EQ(sys(SYS_stat, path.c_str(), &st), -ENOTDIR) << path;
      EXPECT_EQ(sys(SYS_lstat, path.c_str(), &st), -ENOTDIR) << path;
      EXPECT_EQ(sys(SYS_chdir, path.c_str()), -ENOTDIR) << path;
    }
  }
  EXPECT_EQ(sys(SYS_lstat, (proc_fd(folder.get()) + "/").c_str(), &st), 0);
  EXPECT_TRUE(S_ISDIR(st.st_mode));
  ASSERT_EQ(::unlink("f"), 0);
  EXPECT_EQ(sys(SYS_stat, (proc_fd(file.get()) + "/").c_str(), &st), -ENOTDIR);
  ASSERT_EQ(::rmdir("d"), 0);
  EXPECT_EQ(sys(SYS_stat, (proc_fd(folder.get()) + "/").c_str(), &st), 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(FdTest, FilesAreNoDirectories) {
  write_file("f", "");
  Fd file = open_fd("f", O_RDONLY | O_CLOEXEC);
  struct stat st;
  for (int base : {AT_FDCWD, file.get()}) {
    std::string path = base == AT_FDCWD ? "f/x" : "x";
    EXPECT_EQ(sys(SYS_openat, base, path.c_str(), O_RDONLY), -ENOTDIR);
    EXPECT_EQ(sys(SYS_openat, base, path.c_str(), O_RDWR | O_CREAT, 0600), -ENOTDIR);
    EXPECT_EQ(sys(SYS_newfstatat, base, path.c_str(), &st, 0), -ENOTDIR);
    EXPECT_EQ(sys(SYS_newfstatat, base, path.c_str(), &st, AT_SYMLINK_NOFOLLOW), -ENOTDIR);
    EXPECT_EQ(sys(SYS_mkdirat, base, path.c_str(), 0755), -ENOTDIR);
    EXPECT_EQ(sys(SYS_unlinkat, base, path.c_str(), 0), -ENOTDIR);
    EXPECT_EQ(sys(SYS_symlinkat, "t", base, path.c_str()), -ENOTDIR);
    EXPECT_EQ(sys(SYS_renameat, base, path.c_str(), AT_FDCWD, "g"), -ENOTDIR);
    EXPECT_EQ(sys(SYS_renameat, AT_FDCWD, "f", base, path.c_str()), -ENOTDIR);
    EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "f", base, path.c_str(), 0), -ENOTDIR);
    EXPECT_EQ(sys(SYS_readlinkat, base, path.c_str(), &st, 8), -ENOTDIR);
    EXPECT_EQ(sys(SYS_faccessat, base, path.c_str(), F_OK), -ENOTDIR);
  }
}

/// A file of the lower tree (in a copy-on-write view) is never written, whichever way a descriptor
/// of it is turned; run_in_view.sh compares it afterwards.
TEST_F(FdTest, OpenForReadingMeansReading) {
  std::string path = at("lower");
  if (mode() == Mode::kCow) {
    path = std::string(::getenv("TMPDIR")) + "/lower";
  } else {
    write_file(path, "content of the real file\n");
  }
  Fd fd = open_fd(path, O_RDONLY | O_CLOEXEC);
  ASSERT_TRUE(fd.ok()) << path;
  EXPECT_EQ(::write(fd.get(), "x", 1), -1);
  EXPECT_EQ(::ftruncate(fd.get(), 0), -1);
  EXPECT_EQ(sys(SYS_fsetxattr, fd.get(), "user.x", "1", 1, 0), 0);
  EXPECT_EQ(sys(SYS_fchmod, fd.get(), 0600), 0);
  Fd writer(sys(SYS_openat, AT_FDCWD, proc_fd(fd.get()).c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(::write(writer.get(), "X", 1), 1);
  EXPECT_EQ(read_file(path), "Xontent of the real file\n");
  EXPECT_EQ(sys(SYS_truncate, proc_fd(fd.get()).c_str(), 3), 0);
  EXPECT_EQ(read_file(path), "Xon");
  Fd again = open_fd(path, O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  // It has no name any more: natively it can still be written to, in a view perhaps not.
  for (const Fd* one : {&fd, &again}) {
    Fd nameless(sys(SYS_openat, AT_FDCWD, proc_fd(one->get()).c_str(), O_WRONLY | O_CLOEXEC));
    if (nameless.ok()) {
      EXPECT_EQ(::write(nameless.get(), "Y", 1), 1);
    } else {
      EXPECT_TRUE(in_view());
    }
    long result = sys(SYS_fchmod, one->get(), 0644);
    EXPECT_TRUE(result == 0 || (in_view() && result == -EROFS)) << result;
  }
}

TEST_F(FdTest, EmptyPathOfTheWorkingDirectory) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  ASSERT_EQ(::chdir("d"), 0);
  struct stat st;
  struct statx stx;
  struct stat expected = stat_of(".");
  EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "", &st, AT_EMPTY_PATH), 0);
  EXPECT_EQ(st.st_ino, expected.st_ino);
  EXPECT_EQ(sys(SYS_statx, AT_FDCWD, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx), 0);
  EXPECT_EQ(stx.stx_ino, expected.st_ino);
  EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "", &st, 0), -ENOENT);
  EXPECT_EQ(sys(SYS_faccessat2, AT_FDCWD, "", R_OK, AT_EMPTY_PATH), 0);
  EXPECT_EQ(sys(SYS_fchownat, AT_FDCWD, "", -1, ::getgid(), AT_EMPTY_PATH), 0);
  std::array<timespec, 2> times = {{{1000, 0}, {2000, 0}}};
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "", times.data(), AT_EMPTY_PATH), 0);
  EXPECT_EQ(stat_of(".").st_mtime, 2000);
  long result = sys(kFchmodat2, AT_FDCWD, "", 0700, AT_EMPTY_PATH);
  if (result != -ENOSYS) {
    EXPECT_EQ(result, 0);
    EXPECT_EQ(stat_of(".").st_mode, S_IFDIR | 0700U);
  }
  std::array<char*, 2> argv = {const_cast<char*>("x"), nullptr};
  EXPECT_EQ(sys(SYS_execveat, AT_FDCWD, "", argv.data(), ::environ, AT_EMPTY_PATH), -EACCES);
  EXPECT_EQ(sys(SYS_linkat, AT_FDCWD, "", AT_FDCWD, "never", AT_EMPTY_PATH) < 0, true);
}

TEST_F(FdTest, EmptyPathOfADescriptor) {
  write_file("f", "x");
  Fd fd = open_fd("f", O_RDONLY);
  long result = sys(SYS_linkat, fd.get(), "", AT_FDCWD, "second", AT_EMPTY_PATH);
  EXPECT_EQ(result, links_by_descriptor() ? 0 : -ENOENT);
  if (result == 0) {
    EXPECT_EQ(stat_of("second").st_ino, stat_of("f").st_ino);
    EXPECT_EQ(stat_of("f").st_nlink, 2U);
    EXPECT_EQ(sys(SYS_linkat, fd.get(), "", AT_FDCWD, "second", AT_EMPTY_PATH), -EEXIST);
  }
  EXPECT_EQ(sys(SYS_linkat, fd.get(), "", AT_FDCWD, "none/x", AT_EMPTY_PATH), -ENOENT);
  EXPECT_EQ(sys(SYS_linkat, fd.get(), "", AT_FDCWD, "third", 0), -ENOENT);
  EXPECT_EQ(sys(SYS_linkat, 999, "", AT_FDCWD, "third", AT_EMPTY_PATH), -EBADF);
  EXPECT_EQ(sys(SYS_linkat, 999, "", AT_FDCWD, "second", 0x8000), -EINVAL);
  EXPECT_EQ(sys(SYS_fchownat, fd.get(), "", ::getuid(), -1, AT_EMPTY_PATH), 0);
  EXPECT_EQ(sys(SYS_unlinkat, fd.get(), "", 0), -ENOENT);
}

TEST_F(FdTest, PassedToAnotherProcess) {
  write_file("f", "passed");
  std::array<int, 2> ends;
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  char byte = 'x';
  iovec data = {&byte, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (pid == 0) {
    Fd fd = open_fd("f", O_RDONLY);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    int number = fd.get();
    std::memcpy(CMSG_DATA(header), &number, sizeof(number));
    ::_exit(::sendmsg(theirs.get(), &message, 0) == 1 ? 0 : 1);
  }
  ASSERT_EQ(::recvmsg(ours.get(), &message, 0), 1);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  ASSERT_NE(header, nullptr);
  int number = -1;
  std::memcpy(&number, CMSG_DATA(header), sizeof(number));
  Fd received(number);
  std::array<char, 7> text = {};
  EXPECT_EQ(::read(received.get(), text.data(), 6), 6);
  EXPECT_STREQ(text.data(), "passed");
  EXPECT_EQ(read_link(proc_fd(received.get())), at("f"));
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0));
}

TEST_F(FdTest, PassedDirectoryIsABase) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/f", "below");
  Fd base = open_fd("d", O_RDONLY | O_DIRECTORY);
  EXPECT_TRUE(exited_with(run_child([&] {
                            if (::chdir("/") != 0) return 1;
                            Fd fd(sys(SYS_openat, base.get(), "f", O_RDONLY));
                            Fd up(sys(SYS_openat, base.get(), "../d/f", O_RDONLY));
                            return fd.ok() && up.ok() ? 0 : 2;
                          }),
                          0));
}

TEST_F(FdTest, MemoryFilesAndEvents) {
  Fd memory(sys(SYS_memfd_create, "name", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(::write(memory.get(), "text", 4), 4);
  EXPECT_EQ(read_file(proc_fd(memory.get())), "text");
  EXPECT_EQ(read_link(proc_fd(memory.get())), "/memfd:name (deleted)");
  EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  Fd event(::eventfd(3, 0));
  uint64_t value = 0;
  EXPECT_EQ(::read(event.get(), &value, 8), 8);
  EXPECT_EQ(value, 3U);
}

TEST_F(FdTest, PidfdTakesACopy) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  write_file("f", "of the child");
  pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    char c = 0;
    writer.reset(-1);
    (void)!::read(reader.get(), &c, 1);
    ::_exit(0);
  }
  Fd process(sys(SYS_pidfd_open, pid, 0));
  ASSERT_TRUE(process.ok());
  long taken = sys(SYS_pidfd_getfd, process.get(), reader.get(), 0);
  EXPECT_TRUE(taken >= 0 || taken == -EPERM) << taken;
  Fd closes(taken);
  writer.reset(-1);
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
}

}  // namespace
}  // namespace viewsh_test
