// Mappings of files: private ones, and shared ones whose writes everyone sees.

#include <sys/mman.h>
#include <sys/wait.h>

#include "support.h"

namespace viewsh_test {
namespace {

using Mmap = SyscallTest;
constexpr size_t kPage = 4096;

class Mapping {
 public:
  Mapping(int fd, size_t size, int protection, int flags)
      : size_(size), address_(::mmap(nullptr, size, protection, flags, fd, 0)) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (ok()) ::munmap(address_, size_);
  }
  bool ok() const { return address_ != MAP_FAILED; }
  char* data() const { return static_cast<char*>(address_); }

 private:
  size_t size_;
  void* address_;
};

TEST_F(Mmap, SharedWritesReachTheFile) {
  write_file("f", std::string(2 * kPage, 'a'));
  {
    Fd fd = open_fd("f", O_RDWR);
    Mapping map(fd.get(), 2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
    ASSERT_TRUE(map.ok());
    fd.reset(-1);  // the mapping holds the file
    map.data()[0] = 'X';
    map.data()[kPage] = 'Y';
    EXPECT_EQ(::msync(map.data(), 2 * kPage, MS_SYNC), 0);
    EXPECT_EQ(read_file("f")[0], 'X');
    map.data()[1] = 'Z';
  }
  std::string text = read_file("f");
  EXPECT_EQ(text.substr(0, 3), "XZa");
  EXPECT_EQ(text[kPage], 'Y');
}

TEST_F(Mmap, WritesAreSeenInMappings) {
  write_file("f", std::string(kPage, 'a'));
  Fd reader = open_fd("f", O_RDONLY);  // before anyone writes
  Mapping seen(reader.get(), kPage, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen.data()[0], 'a');
  Fd writer = open_fd("f", O_RDWR);
  EXPECT_EQ(::pwrite(writer.get(), "b", 1, 0), 1);
  EXPECT_EQ(seen.data()[0], 'b');
  Mapping other(writer.get(), kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(other.ok());
  other.data()[0] = 'c';
  EXPECT_EQ(seen.data()[0], 'c');
}

TEST_F(Mmap, SharedBetweenProcesses) {
  write_file("f", std::string(kPage, '\0'));
  Fd fd = open_fd("f", O_RDWR);
  Mapping map(fd.get(), kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(map.ok());
  EXPECT_TRUE(exited_with(run_child([] {
                            Fd own = open_fd("f", O_RDWR);
                            Mapping mine(own.get(), kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
                            if (!mine.ok()) return 1;
                            mine.data()[7] = '7';
                            return 0;
                          }),
                          0));
  EXPECT_EQ(map.data()[7], '7');
}

TEST_F(Mmap, PrivateWritesStayPrivate) {
  write_file("f", std::string(kPage, 'a'));
  Fd fd = open_fd("f", O_RDONLY);
  Mapping map(fd.get(), kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE);
  ASSERT_TRUE(map.ok());
  map.data()[0] = 'b';
  EXPECT_EQ(read_file("f")[0], 'a');
}

TEST_F(Mmap, ProtectionFollowsTheDescriptor) {
  write_file("f", std::string(kPage, 'a'));
  Fd fd = open_fd("f", O_RDONLY);
  Mapping map(fd.get(), kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  EXPECT_FALSE(map.ok());
  EXPECT_EQ(errno, EACCES);
  Fd writer = open_fd("f", O_WRONLY);
  Mapping unreadable(writer.get(), kPage, PROT_READ, MAP_SHARED);
  EXPECT_FALSE(unreadable.ok());
  EXPECT_EQ(errno, EACCES);
  Fd path = open_fd("f", O_PATH);
  Mapping none(path.get(), kPage, PROT_READ, MAP_SHARED);
  EXPECT_FALSE(none.ok());
  EXPECT_EQ(errno, EBADF);
}

TEST_F(Mmap, UnlinkedFileStaysMapped) {
  write_file("f", std::string(kPage, 'a'));
  Fd fd = open_fd("f", O_RDWR);
  Mapping map(fd.get(), kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(map.ok());
  ASSERT_EQ(::unlink("f"), 0);
  map.data()[0] = 'b';
  char c = 0;
  EXPECT_EQ(::pread(fd.get(), &c, 1, 0), 1);
  EXPECT_EQ(c, 'b');
}

TEST_F(Mmap, GrownByTruncation) {
  write_file("f", "");
  Fd fd = open_fd("f", O_RDWR);
  ASSERT_EQ(::ftruncate(fd.get(), 4 * kPage), 0);
  Mapping map(fd.get(), 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED);
  ASSERT_TRUE(map.ok());
  std::memset(map.data(), 'm', 4 * kPage);
  ASSERT_EQ(::msync(map.data(), 4 * kPage, MS_SYNC), 0);
  EXPECT_EQ(read_file("f"), std::string(4 * kPage, 'm'));
}

TEST_F(Mmap, PastTheEndIsABusError) {
  write_file("f", "short");
  int status = run_child([] {
    Fd fd = open_fd("f", O_RDONLY);
    Mapping map(fd.get(), 2 * kPage, PROT_READ, MAP_PRIVATE);
    volatile char c = map.data()[kPage];
    return c;
  });
  EXPECT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGBUS : WEXITSTATUS(status) != 0);
}

TEST_F(Mmap, MapsNameTheFile) {
  write_file("mapped", std::string(kPage, 'a'));
  Fd fd = open_fd("mapped", O_RDONLY);
  Mapping map(fd.get(), kPage, PROT_READ, MAP_SHARED);
  ASSERT_TRUE(map.ok());
  std::string maps = read_file("/proc/self/maps");
  size_t line = maps.find(" " + at("mapped") + "\n");
  EXPECT_NE(line, std::string::npos);
  EXPECT_NE(maps.find(own_binary() + "\n"), std::string::npos);
}

TEST_F(Mmap, ProgramsFromAMapping) {
  // mov $42, %eax; ret
  write_file("code", std::string("\xb8\x2a\x00\x00\x00\xc3", 6));
  Fd fd = open_fd("code", O_RDONLY);
  Mapping map(fd.get(), kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE);
  ASSERT_TRUE(map.ok()) << std::strerror(errno);
  int (*function)() = nullptr;
  char* address = map.data();
  std::memcpy(&function, &address, sizeof(function));
  EXPECT_EQ(function(), 42);
}

}  // namespace
}  // namespace viewsh_test
