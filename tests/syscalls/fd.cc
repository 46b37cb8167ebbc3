// Descriptors: dup, O_TMPFILE and linkat, /proc/self/fd, unlinked open files, passing, memfd.

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>

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

TEST_F(FdTest, EmptyPathOfADescriptor) {
  write_file("f", "x");
  Fd fd = open_fd("f", O_RDONLY);
  long result = sys(SYS_linkat, fd.get(), "", AT_FDCWD, "second", AT_EMPTY_PATH);
  EXPECT_TRUE(result == 0 || result == -ENOENT) << result;  // the kernel wants the same credentials
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
