// flock and fcntl locks: between processes, by every name of a file.

#include <sys/file.h>
#include <sys/wait.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Lock = SyscallTest;

// In a process of its own: 0 if `path` could be locked at once, 1 if someone holds it.
int try_flock(const char* path, int operation) {
  int status = run_child([&] {
    Fd fd = open_fd(path, O_RDWR);
    return ::flock(fd.get(), operation | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? 1 : 2;
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int try_fcntl(const char* path, int command, short type, off_t start, off_t length) {
  int status = run_child([&] {
    Fd fd = open_fd(path, O_RDWR);
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    if (::fcntl(fd.get(), command, &lock) == 0) return 0;
    return errno == EAGAIN || errno == EACCES ? 1 : 2;
  });
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(Lock, WholeFile) {
  write_file("f", "");
  ASSERT_EQ(::link("f", "g"), 0);
  ASSERT_EQ(::symlink("f", "s"), 0);
  Fd fd = open_fd("f", O_RDWR);
  ASSERT_EQ(::flock(fd.get(), LOCK_EX), 0);
  EXPECT_EQ(try_flock("f", LOCK_EX), 1);
  EXPECT_EQ(try_flock("g", LOCK_SH), 1);
  EXPECT_EQ(try_flock("s", LOCK_SH), 1);
  ASSERT_EQ(::flock(fd.get(), LOCK_SH), 0);
  EXPECT_EQ(try_flock("f", LOCK_SH), 0);
  EXPECT_EQ(try_flock("f", LOCK_EX), 1);
  ASSERT_EQ(::flock(fd.get(), LOCK_UN), 0);
  EXPECT_EQ(try_flock("f", LOCK_EX), 0);
}

TEST_F(Lock, HeldByReaderAndWriterAlike) {
  // A lock taken before the first write must hold against those who write after it.
  write_file("f", "content");
  Fd reader = open_fd("f", O_RDONLY);
  ASSERT_EQ(::flock(reader.get(), LOCK_EX), 0);
  EXPECT_EQ(try_flock("f", LOCK_EX), 1);
  Fd writer = open_fd("f", O_RDWR);
  ASSERT_EQ(::write(writer.get(), "C", 1), 1);
  EXPECT_EQ(try_flock("f", LOCK_EX), 1);
}

TEST_F(Lock, Ranges) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDWR);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_start = 2;
  lock.l_len = 3;
  ASSERT_EQ(::fcntl(fd.get(), F_SETLK, &lock), 0);
  EXPECT_EQ(try_fcntl("f", F_SETLK, F_WRLCK, 0, 2), 0);
  EXPECT_EQ(try_fcntl("f", F_SETLK, F_RDLCK, 4, 1), 1);
  EXPECT_EQ(try_fcntl("f", F_OFD_SETLK, F_WRLCK, 2, 1), 1);
  EXPECT_EQ(try_fcntl("f", F_SETLK, F_WRLCK, 5, 0), 0);
  pid_t self = ::getpid();
  EXPECT_TRUE(exited_with(run_child([&] {
                            Fd own = open_fd("f", O_RDWR);
                            struct flock held = {};
                            held.l_type = F_WRLCK;
                            if (::fcntl(own.get(), F_GETLK, &held) != 0) return 1;
                            return held.l_pid == self && held.l_start == 2 && held.l_len == 3 ? 0
                                                                                              : 2;
                          }),
                          0));
  // Closing any descriptor of the file drops the locks of the process.
  open_fd("f", O_RDONLY).reset(-1);
  EXPECT_EQ(try_fcntl("f", F_SETLK, F_WRLCK, 0, 0), 0);
}

TEST_F(Lock, OfTheOpenFileDescription) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDWR);
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(fd.get(), F_OFD_SETLK, &lock), 0);
  open_fd("f", O_RDONLY).reset(-1);
  EXPECT_EQ(try_fcntl("f", F_SETLK, F_WRLCK, 0, 0), 1);
  fd.reset(-1);
  EXPECT_EQ(try_fcntl("f", F_SETLK, F_WRLCK, 0, 0), 0);
}

TEST_F(Lock, WaitsUntilItIsFree) {
  write_file("f", "");
  Fd fd = open_fd("f", O_RDWR);
  ASSERT_EQ(::flock(fd.get(), LOCK_EX), 0);
  pid_t pid = ::fork();
  if (pid == 0) {
    fd.reset(-1);
    Fd own = open_fd("f", O_RDWR);
    ::_exit(::flock(own.get(), LOCK_EX) == 0 && exists("released") ? 0 : 1);
  }
  write_file("released", "");
  ASSERT_EQ(::flock(fd.get(), LOCK_UN), 0);
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0));
}

TEST_F(Lock, CounterUnderContention) {
  constexpr int kProcesses = 6;
  constexpr int kRounds = 50;
  write_file("counter", "0");
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    pid_t pid = ::fork();
    if (pid == 0) {
      for (int i = 0; i < kRounds; ++i) {
        Fd fd = open_fd("counter", O_RDWR);
        if (::flock(fd.get(), LOCK_EX) != 0) ::_exit(1);
        int value = std::stoi(read_file("counter"));
        std::string text = std::to_string(value + 1);
        if (::pwrite(fd.get(), text.data(), text.size(), 0) < 0) ::_exit(2);
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  for (pid_t pid : children) {
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(exited_with(status, 0));
  }
  EXPECT_EQ(read_file("counter"), std::to_string(kProcesses * kRounds));
}

TEST_F(Lock, Leases) {
  write_file("f", "");
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(::fcntl(fd.get(), F_GETLEASE), F_UNLCK);
}

}  // namespace
}  // namespace viewsh_test
