// A program with a seccomp filter of its own: what the filter refuses is refused, and nothing else.

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <thread>

#include "support.h"

// long viewsh_test_mkdir(const char* path): the instruction after its system call is a label, which
// a filter can compare with.
asm(R"(
    .text
    .globl viewsh_test_mkdir
    .globl viewsh_test_mkdir_after
viewsh_test_mkdir:
    movl $83, %eax
    movl $0755, %esi
    syscall
viewsh_test_mkdir_after:
    ret
)");

namespace viewsh_test {

extern "C" long viewsh_test_mkdir(const char* path);
extern "C" const char viewsh_test_mkdir_after[];

/// File calls of all shapes below `dir`, without the C library's memory. 0, or which one failed.
int file_work(const char* dir, const char* absolute) {
  struct stat st;
  std::array<char, 300> long_name = {};
  std::memset(long_name.data(), 'n', 250);
  std::array<char, 64> text = {};
  if (sys(SYS_mkdir, dir, 0755) != 0) return 1;
  if (sys(SYS_chdir, dir) != 0) return 2;
  long fd = sys(SYS_openat, AT_FDCWD, "f", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 || sys(SYS_write, fd, "text", 4) != 4 || sys(SYS_close, fd) != 0) return 3;
  if (sys(SYS_stat, "f", &st) != 0 || st.st_size != 4) return 4;
  if (sys(SYS_rename, "f", long_name.data()) != 0) return 5;
  if (sys(SYS_stat, "f", &st) != -ENOENT) return 6;
  if (sys(SYS_newfstatat, AT_FDCWD, long_name.data(), &st, 0) != 0) return 7;
  if (sys(SYS_link, long_name.data(), "g") != 0) return 8;
  if (sys(SYS_symlink, "g", "l") != 0 || sys(SYS_readlink, "l", text.data(), 64) != 1) return 9;
  fd = sys(SYS_creat, "h", 0600);
  if (fd < 0 || sys(SYS_close, fd) != 0 || sys(SYS_unlink, "h") != 0) return 10;
  for (const char* name : {"l", "g", static_cast<const char*>(long_name.data())}) {
    if (sys(SYS_unlink, name) != 0) return 11;
  }
  if (sys(SYS_stat, absolute, &st) != 0 || st.st_size != 7) return 12;
  fd = sys(SYS_open, absolute, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || sys(SYS_read, fd, text.data(), 64) != 7 || sys(SYS_close, fd) != 0) return 13;
  if (sys(SYS_chdir, "..") != 0 || sys(SYS_rmdir, dir) != 0) return 14;
  return sys(SYS_access, dir, F_OK) == -ENOENT ? 0 : 15;
}

namespace {

using OwnFilter = SyscallTest;

constexpr sock_filter op(unsigned code, uint32_t k, uint8_t yes = 0, uint8_t no = 0) {
  return {static_cast<uint16_t>(code), yes, no, k};
}
constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr uint32_t kProtection = offsetof(seccomp_data, args) + 16;
constexpr uint32_t kFlags = offsetof(seccomp_data, args) + 24;
constexpr uint32_t kAnswers[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_TRAP,
                                 SECCOMP_RET_ERRNO | EPERM};

long install(const sock_filter* program, size_t size, unsigned flags) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
  sock_fprog prog = {static_cast<unsigned short>(size), const_cast<sock_filter*>(program)};
  return sys(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/// No mapping of memory at all, and no change of its protection.
long refuse_mappings(uint32_t answer, unsigned flags = 0) {
  const sock_filter program[] = {
      op(BPF_LD | BPF_W | BPF_ABS, kNumber), op(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0),
      op(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0), op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      op(BPF_RET | BPF_K, answer)};
  return install(program, std::size(program), flags);
}

/// No anonymous memory that can be executed: what programs that make no code forbid themselves.
long refuse_code(uint32_t answer) {
  const sock_filter program[] = {op(BPF_LD | BPF_W | BPF_ABS, kNumber),
                                 op(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 4),
                                 op(BPF_LD | BPF_W | BPF_ABS, kProtection),
                                 op(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 2),
                                 op(BPF_LD | BPF_W | BPF_ABS, kFlags),
                                 op(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 1, 0),
                                 op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
                                 op(BPF_RET | BPF_K, answer)};
  return install(program, std::size(program), 0);
}

TEST_F(OwnFilter, ThatRefusesMappings) {
  write_file("seven", "seven b");
  std::string absolute = at("seven");
  for (uint32_t answer : kAnswers) {
    int status = run_child([&] {
      if (refuse_mappings(answer) != 0) return 99;
      return file_work("d", absolute.c_str());
    });
    EXPECT_TRUE(exited_with(status, 0)) << std::hex << answer << " " << status;
    // By the older call.
    status = run_child([&] {
      const sock_filter program[] = {
          op(BPF_LD | BPF_W | BPF_ABS, kNumber), op(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
          op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), op(BPF_RET | BPF_K, answer)};
      sock_fprog prog = {static_cast<unsigned short>(std::size(program)),
                         const_cast<sock_filter*>(program)};
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
      if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0) return 99;
      return file_work("d", absolute.c_str());
    });
    EXPECT_TRUE(exited_with(status, 0)) << std::hex << answer << " " << status;
  }
}

TEST_F(OwnFilter, ThatStaysOverExec) {
  write_file("seven", "seven b");
  std::string program = own_binary();
  std::string absolute = at("seven");
  for (uint32_t answer : kAnswers) {
    Captured result = capture([&] {
      if (refuse_code(answer) != 0) return 99;
      ::execl(program.c_str(), "x", "--helper", "files", "d", absolute.c_str(), nullptr);
      return 98;
    });
    EXPECT_TRUE(exited_with(result.status, 0)) << std::hex << answer << " " << result.status;
    EXPECT_EQ(result.output, "work=0\n");
  }
}

TEST_F(OwnFilter, OfManyThreadsAtOnce) {
  write_file("seven", "seven b");
  std::string absolute = at("seven");
  int status = run_child([&] {
    constexpr int kThreads = 40;
    static std::atomic<int> ready;
    static std::atomic<int> failed;
    static std::atomic<int> over;
    static std::atomic<bool> go;
    ready = failed = over = 0;
    go = false;
    auto body = [&](int id) {
      std::array<char, 8> name = {'d', static_cast<char>('0' + id / 10),
                                  static_cast<char>('0' + id % 10), 0};
      bool apart = sys(SYS_unshare, CLONE_FS) == 0;
      ++ready;
      while (!go) std::this_thread::yield();
      for (int i = 0; i < 5; ++i) {
        if (!apart || file_work(name.data(), absolute.c_str()) != 0) ++failed;
      }
      ++over;
      for (;;) ::pause();
    };
    for (int id = 0; id < kThreads; ++id) std::thread(body, id).detach();
    while (ready < kThreads) std::this_thread::yield();
    if (refuse_mappings(SECCOMP_RET_KILL_PROCESS, SECCOMP_FILTER_FLAG_TSYNC) != 0) return 99;
    go = true;
    while (over < kThreads) std::this_thread::yield();
    return failed == 0 ? 0 : 1;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST_F(OwnFilter, RefusesWhatItIsForAndNothingElse) {
  int status = run_child([] {
    const sock_filter program[] = {
        op(BPF_LD | BPF_W | BPF_ABS, kNumber), op(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
        op(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM), op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    if (install(program, std::size(program), 0) != 0) return 99;
    if (sys(SYS_mkdir, "d", 0755) != -EDOM) return 1;
    return sys(SYS_mkdirat, AT_FDCWD, "d", 0755) == 0 ? 0 : 2;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
  EXPECT_TRUE(exists("d"));
}

TEST_F(OwnFilter, ThatLooksAtTheInstruction) {
  auto after = reinterpret_cast<uint64_t>(viewsh_test_mkdir_after);
  std::string absolute = at("e");  // which a bind view has to rewrite
  int status = run_child([&] {
    const sock_filter program[] = {
        op(BPF_LD | BPF_W | BPF_ABS, kNumber),
        op(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 2),
        op(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, instruction_pointer)),
        op(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(after), 0, 1),
        op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        op(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM)};
    if (install(program, std::size(program), 0) != 0) return 99;
    if (sys(SYS_mkdir, "d", 0755) != -EDOM) return 1;
    return viewsh_test_mkdir(absolute.c_str()) == 0 ? 0 : 2;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
  EXPECT_TRUE(exists("e"));
  EXPECT_FALSE(exists("d"));
}

TEST_F(OwnFilter, IsShownAsTheOnlyOne) {
  if (mode() == Mode::kEmpty) GTEST_SKIP() << "an empty view looks at nothing";
  auto mode_of = [] {
    return read_file("/proc/self/status").find("\nSeccomp:\t2\n") != std::string::npos;
  };
  int before = ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
  int status = run_child([&] {
    if (before != 0 || mode_of()) return 1;
    if (refuse_code(SECCOMP_RET_ERRNO | EPERM) != 0) return 99;
    return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 && mode_of() ? 0 : 2;
  });
  if (before == 2 && mode() == Mode::kNative) GTEST_SKIP() << "the tests run below a filter";
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

/// fstat(3) may ask either of two calls. A filter that refuses one of them sees the program's own.
TEST_F(OwnFilter, TellsTheWaysOfFstatApart) {
  write_file("f", "text");
  for (uint32_t refused : {SYS_fstat, SYS_newfstatat}) {
    for (bool filter_first : {false, true}) {
      int status = run_child([&] {
        struct stat st;
        int fd = ::open("f", O_RDONLY);
        const sock_filter program[] = {
            op(BPF_LD | BPF_W | BPF_ABS, kNumber), op(BPF_JMP | BPF_JEQ | BPF_K, refused, 0, 1),
            op(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM), op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        if (filter_first && install(program, std::size(program), 0) != 0) return 99;
        bool both = true;
        for (int i = 0; i < 10; ++i) both = ::fstat(fd, &st) == 0 && st.st_size == 4 && both;
        if (!filter_first && !both) return 1;
        if (!filter_first && install(program, std::size(program), 0) != 0) return 99;
        bool after = ::fstat(fd, &st) == 0;
        return (refused == SYS_fstat) == after && (sys(SYS_fstat, fd, &st) == 0) != after ? 0 : 2;
      });
      EXPECT_TRUE(exited_with(status, 0)) << refused << filter_first << " " << status;
    }
  }
}

/// Its answers would go round the view.
TEST_F(OwnFilter, ListenersAreRefused) {
  int status = run_child([] {
    const sock_filter program[] = {op(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    long fd = install(program, std::size(program), SECCOMP_FILTER_FLAG_NEW_LISTENER);
    if (has_mounts()) return fd == -EINVAL ? 0 : 1;
    return fd >= 0 || fd == -EBUSY ? 0 : 2;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

}  // namespace
}  // namespace viewsh_test
