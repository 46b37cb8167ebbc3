// What is done through an open descriptor: read, write and their kin, lseek, copies between files.

#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <numeric>

#include "support.h"

namespace viewsh_test {
namespace {

using Rw = SyscallTest;

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

TEST_F(Rw, PositionedCallsLeaveTheOffset) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDWR);
  std::array<char, 4> buffer = {};
  EXPECT_EQ(::pread(fd.get(), buffer.data(), 3, 4), 3);
  EXPECT_STREQ(buffer.data(), "456");
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(::pwrite(fd.get(), "AB", 2, 8), 2);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(read_file("f"), "01234567AB");
  EXPECT_EQ(sys(SYS_pread64, fd.get(), buffer.data(), 1, -1), -EINVAL);
}

TEST_F(Rw, Vectors) {
  Fd fd = open_fd("f", O_RDWR | O_CREAT);
  std::array<iovec, 3> out = {
      {{const_cast<char*>("one"), 3}, {nullptr, 0}, {const_cast<char*>("three"), 5}}};
  EXPECT_EQ(::writev(fd.get(), out.data(), 3), 8);
  std::array<char, 5> a = {};
  std::array<char, 10> b = {};
  std::array<iovec, 2> in = {{{a.data(), 4}, {b.data(), 9}}};
  EXPECT_EQ(::preadv(fd.get(), in.data(), 2, 0), 8);
  EXPECT_STREQ(a.data(), "onet");
  EXPECT_STREQ(b.data(), "hree");
  EXPECT_EQ(::pwritev2(fd.get(), out.data(), 1, -1, RWF_APPEND), 3);
  EXPECT_EQ(read_file("f"), "onethreeone");
}

TEST_F(Rw, SeeksEverywhere) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDWR);
  EXPECT_EQ(::lseek(fd.get(), -3, SEEK_END), 7);
  EXPECT_EQ(::lseek(fd.get(), 2, SEEK_CUR), 9);
  EXPECT_EQ(sys(SYS_lseek, fd.get(), -1, SEEK_SET), -EINVAL);
  EXPECT_EQ(::lseek(fd.get(), 100, SEEK_SET), 100);
  EXPECT_EQ(::write(fd.get(), "x", 1), 1);
  EXPECT_EQ(stat_of("f").st_size, 101);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  EXPECT_EQ(sys(SYS_lseek, ends[0], 0, SEEK_CUR), -ESPIPE);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Rw, HolesAreFound) {
  Fd fd = open_fd("sparse", O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(fd.get(), 8 << 20), 0);
  ASSERT_EQ(::pwrite(fd.get(), "data", 4, 4 << 20), 4);
  ::fsync(fd.get());
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_DATA), 4 << 20);
  EXPECT_LT(::lseek(fd.get(), 4 << 20, SEEK_HOLE), 8 << 20);
  EXPECT_EQ(sys(SYS_lseek, fd.get(), 9 << 20, SEEK_DATA), -ENXIO);
  EXPECT_LT(stat_of("sparse").st_blocks * 512, 1 << 20);
}

TEST_F(Rw, CopiesBetweenFiles) {
  std::string text = pattern(300000);
  write_file("from", text);
  Fd from = open_fd("from", O_RDONLY);
  Fd to = open_fd("sent", O_WRONLY | O_CREAT);
  size_t done = 0;
  while (done < text.size()) {
    ssize_t n = ::sendfile(to.get(), from.get(), nullptr, text.size() - done);
    ASSERT_GT(n, 0);
    done += static_cast<size_t>(n);
  }
  EXPECT_EQ(read_file("sent"), text);
  Fd range = open_fd("ranged", O_WRONLY | O_CREAT);
  off64_t at = 100;
  long n = sys(SYS_copy_file_range, from.get(), &at, range.get(), nullptr, 5000, 0);
  if (n != -EXDEV && n != -EOPNOTSUPP) {
    EXPECT_EQ(n, 5000);
    EXPECT_EQ(at, 5100);
    EXPECT_EQ(read_file("ranged"), text.substr(100, 5000));
  }
}

TEST_F(Rw, Splices) {
  std::string text = pattern(40000);
  write_file("from", text);
  Fd from = open_fd("from", O_RDONLY);
  Fd to = open_fd("to", O_WRONLY | O_CREAT);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  for (;;) {
    ssize_t in = ::splice(from.get(), nullptr, writer.get(), nullptr, 16384, 0);
    ASSERT_GE(in, 0);
    if (in == 0) break;
    while (in > 0) {
      ssize_t out = ::splice(reader.get(), nullptr, to.get(), nullptr, static_cast<size_t>(in), 0);
      ASSERT_GT(out, 0);
      in -= out;
    }
  }
  EXPECT_EQ(read_file("to"), text);
}

TEST_F(Rw, SharedOffsetAfterForkAndDup) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDONLY);
  Fd copy(::dup(fd.get()));
  char c = 0;
  EXPECT_EQ(::read(fd.get(), &c, 1), 1);
  EXPECT_EQ(::read(copy.get(), &c, 1), 1);
  EXPECT_EQ(c, '1');
  EXPECT_TRUE(exited_with(run_child([&] {
                            char d = 0;
                            return ::read(fd.get(), &d, 1) == 1 && d == '2' ? 0 : 1;
                          }),
                          0));
  EXPECT_EQ(::read(copy.get(), &c, 1), 1);
  EXPECT_EQ(c, '3');
}

TEST_F(Rw, AppendersDoNotLoseALine) {
  constexpr int kWriters = 8;
  constexpr int kLines = 200;
  std::vector<pid_t> children;
  for (int w = 0; w < kWriters; ++w) {
    pid_t pid = ::fork();
    if (pid == 0) {
      Fd fd = open_fd("log", O_WRONLY | O_CREAT | O_APPEND);
      std::string line = std::string(30, static_cast<char>('a' + w)) + "\n";
      for (int i = 0; i < kLines; ++i) {
        if (::write(fd.get(), line.data(), line.size()) != 31) ::_exit(1);
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
  std::string log = read_file("log");
  ASSERT_EQ(log.size(), size_t{kWriters} * kLines * 31);
  for (size_t i = 0; i < log.size(); i += 31) {
    EXPECT_EQ(log.substr(i, 31), std::string(30, log[i]) + "\n");
  }
}

TEST_F(Rw, TwoDescriptorsOfOneFileAgree) {
  write_file("f", "old text");
  Fd reader = open_fd("f", O_RDONLY);  // opened before anything was changed
  Fd writer = open_fd("f", O_RDWR);
  EXPECT_EQ(::pwrite(writer.get(), "NEW", 3, 0), 3);
  std::array<char, 9> buffer = {};
  EXPECT_EQ(::pread(reader.get(), buffer.data(), 8, 0), 8);
  EXPECT_STREQ(buffer.data(), "NEW text");
  struct stat a;
  struct stat b;
  ASSERT_EQ(::fstat(reader.get(), &a), 0);
  ASSERT_EQ(::fstat(writer.get(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_EQ(a.st_dev, b.st_dev);
}

TEST_F(Rw, Allocation) {
  Fd fd = open_fd("f", O_RDWR | O_CREAT);
  long result = sys(SYS_fallocate, fd.get(), 0, 0, 65536);
  if (result == -EOPNOTSUPP) GTEST_SKIP() << "this file system has no fallocate";
  EXPECT_EQ(result, 0);
  EXPECT_EQ(stat_of("f").st_size, 65536);
  EXPECT_EQ(::pwrite(fd.get(), "x", 1, 100), 1);
  result = sys(SYS_fallocate, fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
  if (result != -EOPNOTSUPP) {
    char c = 'y';
    EXPECT_EQ(::pread(fd.get(), &c, 1, 100), 1);
    EXPECT_EQ(c, '\0');
  }
  EXPECT_EQ(sys(SYS_fallocate, fd.get(), 0, -1, 10), -EINVAL);
}

TEST_F(Rw, SyncsAndHints) {
  Fd fd = open_fd("f", O_RDWR | O_CREAT);
  EXPECT_EQ(::write(fd.get(), "x", 1), 1);
  EXPECT_EQ(::fsync(fd.get()), 0);
  EXPECT_EQ(::fdatasync(fd.get()), 0);
  EXPECT_EQ(sys(SYS_sync_file_range, fd.get(), 0, 0, 0), 0);
  EXPECT_EQ(sys(SYS_fadvise64, fd.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(sys(SYS_readahead, fd.get(), 0, 4096), 0);
  Fd folder = open_fd(".", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(::fsync(folder.get()), 0);
  EXPECT_EQ(::syncfs(folder.get()), 0);
}

TEST_F(Rw, AvailableBytes) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDONLY);
  int available = 0;
  EXPECT_EQ(::ioctl(fd.get(), FIONREAD, &available), 0);
  EXPECT_EQ(available, 10);
  EXPECT_EQ(sys(SYS_ioctl, fd.get(), TCGETS, nullptr), -ENOTTY);
}

TEST_F(Rw, ReadOfADirectory) {
  Fd fd = open_fd(".", O_RDONLY | O_DIRECTORY);
  char c = 0;
  EXPECT_EQ(sys(SYS_read, fd.get(), &c, 1), -EISDIR);
}

TEST_F(Rw, NullDevices) {
  Fd null = open_fd("/dev/null", O_RDWR);
  EXPECT_EQ(::write(null.get(), "gone", 4), 4);
  char c = 'x';
  EXPECT_EQ(::read(null.get(), &c, 1), 0);
  EXPECT_TRUE(S_ISCHR(stat_of("/dev/null").st_mode));
  Fd zero = open_fd("/dev/zero", O_RDONLY);
  EXPECT_EQ(::read(zero.get(), &c, 1), 1);
  EXPECT_EQ(c, '\0');
  Fd full = open_fd("/dev/full", O_WRONLY);
  EXPECT_EQ(sys(SYS_write, full.get(), "x", 1), -ENOSPC);
  EXPECT_FALSE(Fd(sys(SYS_openat, AT_FDCWD, "/dev/null/below", O_RDONLY)).ok());
}

TEST_F(Rw, LargeFileOffsets) {
  Fd fd = open_fd("large", O_RDWR | O_CREAT);
  constexpr off_t kFar = off_t{5} << 30;
  ASSERT_EQ(::pwrite(fd.get(), "far", 3, kFar), 3);
  EXPECT_EQ(stat_of("large").st_size, kFar + 3);
  std::array<char, 4> buffer = {};
  EXPECT_EQ(::pread(fd.get(), buffer.data(), 3, kFar), 3);
  EXPECT_STREQ(buffer.data(), "far");
}

}  // namespace
}  // namespace viewsh_test
