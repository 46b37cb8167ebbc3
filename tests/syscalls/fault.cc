// Bad addresses and long names: EFAULT and ENAMETOOLONG where Linux gives them, and no earlier.

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "support.h"

namespace viewsh_test {
namespace {

/// Two pages, the second without access: what is put at the end ends where memory does.
class Edge {
 public:
  Edge()
      : base_(static_cast<char*>(::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    ::mprotect(base_ + kPage, kPage, PROT_NONE);
  }
  Edge(const Edge&) = delete;
  Edge& operator=(const Edge&) = delete;
  ~Edge() { ::munmap(base_, 2 * kPage); }
  /// Copies `bytes` right before the edge.
  char* put(const std::string& bytes) {
    char* at = base_ + kPage - bytes.size();
    std::memcpy(at, bytes.data(), bytes.size());
    return at;
  }
  char* end() { return base_ + kPage; }

 private:
  static constexpr size_t kPage = 4096;
  char* base_;
};

class Fault : public SyscallTest {
 protected:
  const char* bad() { return reinterpret_cast<const char*>(uintptr_t{8}); }
  const char* kernel() { return reinterpret_cast<const char*>(uintptr_t{0xffff800000000000}); }
};

TEST_F(Fault, PathAddresses) {
  struct stat st;
  for (const char* path : {static_cast<const char*>(nullptr), bad(), kernel()}) {
    EXPECT_EQ(sys(SYS_open, path, O_RDONLY), -EFAULT);
    EXPECT_EQ(sys(SYS_openat, AT_FDCWD, path, O_RDONLY), -EFAULT);
    EXPECT_EQ(sys(SYS_stat, path, &st), -EFAULT);
    EXPECT_EQ(sys(SYS_lstat, path, &st), -EFAULT);
    EXPECT_EQ(sys(SYS_access, path, F_OK), -EFAULT);
    EXPECT_EQ(sys(SYS_mkdir, path, 0755), -EFAULT);
    EXPECT_EQ(sys(SYS_rmdir, path), -EFAULT);
    EXPECT_EQ(sys(SYS_unlink, path), -EFAULT);
    EXPECT_EQ(sys(SYS_rename, path, "x"), -EFAULT);
    EXPECT_EQ(sys(SYS_link, path, "x"), -EFAULT);
    EXPECT_EQ(sys(SYS_symlink, path, "x"), -EFAULT);
    EXPECT_EQ(sys(SYS_symlink, "x", path), -EFAULT);
    EXPECT_EQ(sys(SYS_chdir, path), -EFAULT);
    EXPECT_EQ(sys(SYS_chmod, path, 0644), -EFAULT);
    EXPECT_EQ(sys(SYS_truncate, path, 0), -EFAULT);
    EXPECT_EQ(sys(SYS_execve, path, nullptr, nullptr), -EFAULT);
    EXPECT_EQ(sys(SYS_statfs, path, &st), -EFAULT);
    EXPECT_EQ(sys(SYS_getxattr, path, "user.x", nullptr, 0), -EFAULT);
  }
  write_file("f", "");
  EXPECT_EQ(sys(SYS_rename, "f", bad()), -EFAULT);
  EXPECT_EQ(sys(SYS_link, "f", bad()), -EFAULT);
}

TEST_F(Fault, ResultAddresses) {
  write_file("f", "content");
  ASSERT_EQ(::symlink("target", "link"), 0);
  for (const char* to : {bad(), kernel()}) {
    EXPECT_EQ(sys(SYS_stat, "f", to), -EFAULT);
    EXPECT_EQ(sys(SYS_newfstatat, AT_FDCWD, "f", to, 0), -EFAULT);
    EXPECT_EQ(sys(SYS_statx, AT_FDCWD, "f", 0, STATX_ALL, to), -EFAULT);
    EXPECT_EQ(sys(SYS_readlink, "link", to, 64), -EFAULT);
    EXPECT_EQ(sys(SYS_getcwd, to, 4096), -EFAULT);
    EXPECT_EQ(sys(SYS_statfs, "f", to), -EFAULT);
  }
  EXPECT_EQ(sys(SYS_stat, "none", bad()), -ENOENT);  // the path is looked at first
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_read, fd.get(), bad(), 4), -EFAULT);
  Fd folder = open_fd(".", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(sys(SYS_getdents64, folder.get(), bad(), 4096), -EFAULT);
}

TEST_F(Fault, StructuresAtBadAddresses) {
  write_file("f", "");
  EXPECT_EQ(sys(SYS_openat2, AT_FDCWD, "f", bad(), 24), -EFAULT);
  EXPECT_EQ(sys(SYS_utimensat, AT_FDCWD, "f", bad(), 0), -EFAULT);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_EQ(sys(SYS_bind, socket.get(), bad(), sizeof(sockaddr_un)), -EFAULT);
  EXPECT_EQ(sys(SYS_connect, socket.get(), bad(), sizeof(sockaddr_un)), -EFAULT);
  std::array<char*, 2> argv = {const_cast<char*>(bad()), nullptr};
  EXPECT_EQ(sys(SYS_execve, "/bin/true", argv.data(), nullptr), -EFAULT);
  EXPECT_EQ(sys(SYS_execve, "/bin/true", bad(), nullptr), -EFAULT);
}

TEST_F(Fault, PathThatEndsWhereMemoryDoes) {
  write_file("name", "content");
  Edge edge;
  struct stat st;
  EXPECT_EQ(sys(SYS_stat, edge.put(std::string("name\0", 5)), &st), 0);
  EXPECT_EQ(st.st_size, 7);
  EXPECT_EQ(sys(SYS_stat, edge.put("name"), &st), -EFAULT);  // no NUL before the edge
  Fd fd(sys(SYS_openat, AT_FDCWD, edge.put(std::string("name\0", 5)), O_RDONLY));
  EXPECT_TRUE(fd.ok());
  EXPECT_EQ(sys(SYS_mkdir, edge.put(std::string("d\0", 2)), 0755), 0);
  EXPECT_EQ(sys(SYS_rename, edge.put(std::string("d\0", 2)), "e"), 0);
  EXPECT_EQ(sys(SYS_rename, "e", edge.put(std::string("d\0", 2))), 0);
}

TEST_F(Fault, ResultThatJustFits) {
  write_file("f", "content");
  ASSERT_EQ(::symlink("0123456789", "link"), 0);
  Edge edge;
  EXPECT_EQ(sys(SYS_stat, "f", edge.end() - sizeof(struct stat)), 0);
  EXPECT_EQ(sys(SYS_stat, "f", edge.end() - sizeof(struct stat) + 8), -EFAULT);
  EXPECT_EQ(sys(SYS_readlink, "link", edge.end() - 10, 10), 10);
  EXPECT_EQ(sys(SYS_readlink, "link", edge.end() - 10, 4096), 10);  // only what is there is written
  EXPECT_EQ(sys(SYS_getcwd, edge.end() - dir().size() - 1, 4096),
            static_cast<long>(dir().size() + 1));
  Fd fd = open_fd("f", O_RDONLY);
  EXPECT_EQ(sys(SYS_read, fd.get(), edge.end() - 7, 4096), 7);
}

TEST_F(Fault, ReadOnlyMemoryHoldsAPath) {
  write_file("f", "");
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::strcpy(static_cast<char*>(page), "f");
  ASSERT_EQ(::mprotect(page, 4096, PROT_READ), 0);
  struct stat st;
  EXPECT_EQ(sys(SYS_stat, page, &st), 0);
  EXPECT_EQ(sys(SYS_stat, page, page), -EFAULT);
  EXPECT_EQ(sys(SYS_readlink, "/proc/self/cwd", page, 64), -EFAULT);
  ::munmap(page, 4096);
}

TEST_F(Fault, LongNames) {
  std::string component(255, 'n');
  write_file(component, "long");
  EXPECT_EQ(read_file(component), "long");
  struct stat st;
  EXPECT_EQ(sys(SYS_stat, (component + "n").c_str(), &st), -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, (component + "n").c_str(), O_RDWR | O_CREAT, 0644),
            -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_rename, component.c_str(), (component + "n").c_str()), -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_unlink, ("none/" + component + "n").c_str()), -ENOENT);
}

TEST_F(Fault, LongPaths) {
  // PATH_MAX counts the NUL: 4,095 bytes are fine.
  std::string path;
  while (path.size() + 2 <= 4095 - 1) path += "./";
  path += std::string(4095 - path.size(), 'f').substr(0, 4095 - path.size());
  ASSERT_EQ(path.size(), 4095U);
  struct stat st;
  EXPECT_EQ(sys(SYS_stat, path.c_str(), &st), -ENOENT);
  write_file("f", "");
  EXPECT_EQ(sys(SYS_stat, path.c_str(), &st), 0);
  path.insert(0, "/");
  EXPECT_EQ(sys(SYS_stat, path.c_str(), &st), -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_mkdir, path.c_str(), 0755), -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_chdir, std::string(5000, '/').c_str()), -ENAMETOOLONG);
  EXPECT_EQ(sys(SYS_rename, "f", path.c_str()), -ENAMETOOLONG);
}

TEST_F(Fault, UpperHalvesOfArgumentsThatDoNotCount) {
  // int arguments: the kernel looks at the low 32 bits only.
  write_file("f", "");
  constexpr long kJunk = 0x7abcdef1L << 32;
  Fd fd(sys(SYS_openat, kJunk | 0xffffff9cL, "f", kJunk | O_RDONLY, 0));
  EXPECT_TRUE(fd.ok());
  struct stat st;
  EXPECT_EQ(sys(SYS_newfstatat, kJunk | 0xffffff9cL, "f", &st, kJunk), 0);
  EXPECT_EQ(sys(SYS_fstat, kJunk | fd.get(), &st), 0);
  EXPECT_EQ(sys(SYS_mkdirat, kJunk | 0xffffff9cL, "d", kJunk | 0700), 0);
  EXPECT_EQ(stat_of("d").st_mode, S_IFDIR | 0700U);
}

}  // namespace
}  // namespace viewsh_test
