// What browsers build their sandboxes of: user and pid namespaces, a root that nobody has, filters
// of their own whose SIGSYS handlers ask a broker.

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/ucontext.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "support.h"

namespace viewsh_test {
namespace {

using Sandbox = SyscallTest;

/// In a child: what failed, and that as its exit status.
#define CHILD_CHECK(condition)                                                               \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      std::fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
      return 1;                                                                              \
    }                                                                                        \
  } while (false)

bool write_once(const char* path, const std::string& text) {
  Fd fd(sys(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0));
  return fd.ok() &&
         ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

/// Maps the present ids to themselves in the user namespace that was entered just now.
bool map_ids(uid_t uid, gid_t gid) {
  std::string user = std::to_string(uid) + " " + std::to_string(uid) + " 1";
  std::string group = std::to_string(gid) + " " + std::to_string(gid) + " 1";
  return write_once("/proc/self/uid_map", user) && write_once("/proc/self/setgroups", "deny") &&
         write_once("/proc/self/gid_map", group) && ::getuid() == uid && ::getgid() == gid;
}

bool has_user_namespaces() {
  return exited_with(run_child([] { return ::unshare(CLONE_NEWUSER) == 0 ? 0 : 1; }), 0);
}

/// Runs `body` in a child in new namespaces with mapped ids; the wait status.
template <typename Body>
int run_in_namespaces(int flags, Body body) {
  uid_t uid = ::getuid();
  gid_t gid = ::getgid();
  long pid = sys(SYS_clone, CLONE_NEWUSER | flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) ::_exit(map_ids(uid, gid) ? body() : 2);
  int status = -1;
  ::waitpid(static_cast<pid_t>(pid), &status, 0);
  return status;
}

/// The files of /proc about the process itself can be read, as the C library does for its stack.
int read_own_proc() {
  for (const char* path :
       {"/proc/self/maps", "/proc/self/status", "/proc/self/mounts", "/proc/thread-self/status",
        "/proc/self/smaps", "/proc/self/mountinfo"}) {
    std::string text = read_file(path);
    CHILD_CHECK(text.size() > 1 && text[0] != '!');
  }
  CHILD_CHECK(read_file("/proc/self/maps").find(own_binary()) != std::string::npos);
  pthread_attr_t attr;
  CHILD_CHECK(::pthread_getattr_np(::pthread_self(), &attr) == 0);
  void* stack = nullptr;
  size_t size = 0;
  CHILD_CHECK(::pthread_attr_getstack(&attr, &stack, &size) == 0);
  auto here = reinterpret_cast<uintptr_t>(&attr);
  auto from = reinterpret_cast<uintptr_t>(stack);
  CHILD_CHECK(here >= from && here < from + size);
  ::pthread_attr_destroy(&attr);
  return 0;
}

TEST_F(Sandbox, UserNamespaceReadsItsProc) {
  if (!has_user_namespaces()) GTEST_SKIP() << "no user namespaces here";
  EXPECT_TRUE(exited_with(run_in_namespaces(0, read_own_proc), 0));
  EXPECT_TRUE(exited_with(run_in_namespaces(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC,
                                            [] {
                                              CHILD_CHECK(::getpid() == 1);
                                              // The C library knows its own id after fork(3) only.
                                              return exited_with(run_child(read_own_proc), 0) ? 0
                                                                                              : 1;
                                            }),
                          0));
  // By unshare(2), in a thread's process, and a namespace inside of the first.
  EXPECT_TRUE(exited_with(run_child([] {
                            uid_t uid = ::getuid();
                            gid_t gid = ::getgid();
                            CHILD_CHECK(::unshare(CLONE_NEWUSER) == 0 && map_ids(uid, gid));
                            CHILD_CHECK(read_own_proc() == 0);
                            CHILD_CHECK(::unshare(CLONE_NEWUSER) == 0 && map_ids(uid, gid));
                            int status = -1;
                            std::thread([&] { status = read_own_proc(); }).join();
                            return status;
                          }),
                          0));
}

TEST_F(Sandbox, UserNamespaceDescriptorsOfProc) {
  if (!has_user_namespaces()) GTEST_SKIP() << "no user namespaces here";
  int status = run_in_namespaces(0, [] {
    Fd first(sys(SYS_dup, 0));
    int free_one = first.get();
    first.reset(-1);
    Fd plain(sys(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY, 0));
    CHILD_CHECK(plain.get() == free_one && ::fcntl(plain.get(), F_GETFD) == 0);
    Fd closing(sys(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0));
    CHILD_CHECK(closing.get() == free_one + 1 && ::fcntl(closing.get(), F_GETFD) == FD_CLOEXEC);
    CHILD_CHECK(::write(plain.get(), "x", 1) < 0);
    char byte = 0;
    CHILD_CHECK(::read(plain.get(), &byte, 1) == 1);
    CHILD_CHECK(read_link("/proc/self/fd/" + std::to_string(plain.get())) ==
                "/proc/" + read_link("/proc/self") + "/maps");
    CHILD_CHECK(sys(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_DIRECTORY, 0) ==
                -ENOTDIR);
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST_F(Sandbox, UserNamespaceWorksWithFiles) {
  if (!has_user_namespaces()) GTEST_SKIP() << "no user namespaces here";
  write_file("before", "old");
  int status = run_in_namespaces(CLONE_NEWPID, [] {
    CHILD_CHECK(read_file("before") == "old");
    write_file("before", "new");
    write_file("made", "content");
    CHILD_CHECK(::rename("made", "renamed") == 0 && ::mkdir("d", 0755) == 0);
    struct stat st = lstat_of("renamed");
    CHILD_CHECK(st.st_uid == ::getuid() && st.st_gid == ::getgid());
    return run_child([] { return read_file("renamed") == "content" ? 0 : 1; });
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
  EXPECT_EQ(read_file("before"), "new");
  EXPECT_EQ(read_file("renamed"), "content");
}

// A helper that shares the root changes it to a directory that is gone when the helper is.
TEST_F(Sandbox, RootThatNobodyHas) {
  if (!has_user_namespaces()) GTEST_SKIP() << "no user namespaces here";
  write_file("f", "content");
  int status = run_in_namespaces(0, [] {
    Fd kept = open_fd("f", O_RDONLY);
    long helper = sys(SYS_clone, CLONE_FS | SIGCHLD, 0, 0, 0, 0);
    if (helper == 0) ::_exit(::chroot("/proc/self/fdinfo") == 0 && ::chdir("/") == 0 ? 0 : 1);
    int ended = -1;
    CHILD_CHECK(::waitpid(static_cast<pid_t>(helper), &ended, 0) == helper && ended == 0);
    for (const char* path : {"/", "/etc/passwd", "/proc/self/maps", "f", "../f", "/.."}) {
      Fd fd(sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0));
      if (std::string(path) != "/" && std::string(path) != "/..") CHILD_CHECK(!fd.ok());
    }
    CHILD_CHECK(!exists("/proc") && !exists("/etc"));
    char byte = 0;
    CHILD_CHECK(::read(kept.get(), &byte, 1) == 1 && byte == 'c');
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

/// A filter that answers one call so, and allows the rest.
long filter_call(long number, uint32_t action, unsigned flags) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog all = {static_cast<unsigned short>(std::size(program)), program};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return sys(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &all);
}

/// A filter against anonymous memory that can be executed.
long filter_anonymous_code(uint32_t action) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[3])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x20, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog all = {static_cast<unsigned short>(std::size(program)), program};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all);
}

/// What the last SIGSYS told, as its handler saw it.
struct Trapped {
  std::atomic<int> count{0};
  int number = 0;
  bool address_right = false;
  greg_t rax = 0;
  greg_t rdi = 0;
  greg_t rsi = 0;
  greg_t rdx = 0;
};
Trapped trapped;
int broker_socket = -1;

/// Asks the broker to open a path: the descriptor, or -errno.
long ask_broker(const char* path) {
  if (::send(broker_socket, path, std::strlen(path) + 1, 0) < 0) return -EIO;
  int answer = 0;
  iovec data = {&answer, sizeof(answer)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (::recvmsg(broker_socket, &message, 0) != sizeof(answer)) return -EIO;
  if (answer < 0) return answer;
  std::memcpy(&answer, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
  return answer;
}

void serve_broker(int socket) {
  char path[4096];
  while (::recv(socket, path, sizeof(path), 0) > 0) {
    int fd = ::open(path, O_RDONLY);
    int answer = fd < 0 ? -errno : 0;
    iovec data = {&answer, sizeof(answer)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (fd >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof(control);
      cmsghdr* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(head), &fd, sizeof(int));
    }
    if (::sendmsg(socket, &message, 0) < 0) break;
    if (fd >= 0) ::close(fd);
  }
}

/// Emulates openat(2) by the broker; anything else is refused.
void on_sigsys(int, siginfo_t* info, void* context) {
  greg_t* regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  trapped.number = info->si_syscall;
  trapped.address_right = reinterpret_cast<greg_t>(info->si_call_addr) == regs[REG_RIP];
  trapped.rax = regs[REG_RAX];
  trapped.rdi = regs[REG_RDI];
  trapped.rsi = regs[REG_RSI];
  trapped.rdx = regs[REG_RDX];
  ++trapped.count;
  bool open = info->si_syscall == SYS_openat && broker_socket >= 0;
  regs[REG_RAX] = open ? ask_broker(reinterpret_cast<const char*>(regs[REG_RSI])) : -EPERM;
}

bool handle_sigsys() {
  struct sigaction action = {};
  action.sa_sigaction = on_sigsys;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  return ::sigaction(SIGSYS, &action, nullptr) == 0;
}

TEST_F(Sandbox, BrokerOpensWhatTheFilterTraps) {
  write_file("f", "content");
  int status = run_child([] {
    write_file("f", "changed");
    int ends[2];
    CHILD_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    pid_t broker = ::fork();
    if (broker == 0) {
      ::close(ends[0]);
      serve_broker(ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    broker_socket = ends[0];
    CHILD_CHECK(handle_sigsys());
    std::atomic<bool> filtered{false};
    std::string seen;
    std::thread other([&] {
      while (!filtered) std::this_thread::yield();
      seen = read_file("f");
    });
    CHILD_CHECK(filter_call(SYS_openat, SECCOMP_RET_TRAP | 7, SECCOMP_FILTER_FLAG_TSYNC) == 0);
    filtered = true;
    other.join();
    CHILD_CHECK(seen == "changed" && trapped.count == 1);
    const char* path = "f";
    Fd fd(sys(SYS_openat, AT_FDCWD, path, O_RDONLY, 0));
    CHILD_CHECK(fd.ok() && trapped.count == 2 && trapped.number == SYS_openat &&
                trapped.address_right);
    CHILD_CHECK(trapped.rax == SYS_openat && static_cast<int>(trapped.rdi) == AT_FDCWD);
    CHILD_CHECK(trapped.rsi == reinterpret_cast<greg_t>(path) && trapped.rdx == O_RDONLY);
    CHILD_CHECK(sys(SYS_openat, AT_FDCWD, "none", O_RDONLY, 0) == -ENOENT);
    // What the filter allows goes the usual way.
    struct stat st = stat_of("f");
    CHILD_CHECK(st.st_size == 7 && sys(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY, 0) >= 0);
    ::close(ends[0]);
    CHILD_CHECK(::waitpid(broker, nullptr, 0) == broker);
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

// A view may make another call of what the program asks for. If a filter traps that one, the
// program is told of its own.
TEST_F(Sandbox, SigsysTellsOfTheCallThatWasMade) {
  write_file("f", "content");
  int status = run_child([] {
    write_file("f", "changed");
    CHILD_CHECK(handle_sigsys());
    CHILD_CHECK(filter_call(SYS_openat, SECCOMP_RET_TRAP, 0) == 0);
    for (const char* path : {"f", "new"}) {
      trapped.count = 0;
      long result = sys(SYS_creat, path, 0600);
      CHILD_CHECK(result >= 0 || (in_view() && trapped.count == 1 && result == -EPERM));
      if (trapped.count == 0) continue;
      CHILD_CHECK(trapped.number == SYS_creat && trapped.address_right && trapped.rax == SYS_creat);
      CHILD_CHECK(trapped.rdi == reinterpret_cast<greg_t>(path) && trapped.rsi == 0600);
    }
    // And goes on as before.
    CHILD_CHECK(stat_of("f").st_mode != 0 && sys(SYS_mkdir, "d", 0755) == 0 && exists("d"));
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

TEST_F(Sandbox, SigsysOfAProcFileInANamespace) {
  if (!has_user_namespaces()) GTEST_SKIP() << "no user namespaces here";
  int status = run_in_namespaces(0, [] {
    CHILD_CHECK(handle_sigsys());
    CHILD_CHECK(filter_call(SYS_memfd_create, SECCOMP_RET_TRAP, 0) == 0);
    const char* path = "/proc/self/maps";
    long result = sys(SYS_openat, AT_FDCWD, path, O_RDONLY, 0);
    CHILD_CHECK(result >= 0 || (in_view() && trapped.count == 1 && result == -EPERM));
    if (trapped.count == 0) return 0;
    CHILD_CHECK(trapped.number == SYS_openat && trapped.address_right && trapped.rax == SYS_openat);
    CHILD_CHECK(static_cast<int>(trapped.rdi) == AT_FDCWD && trapped.rdx == O_RDONLY);
    CHILD_CHECK(trapped.rsi == reinterpret_cast<greg_t>(path));
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

// A filter that was there before the program forbids what a view would map in it.
TEST_F(Sandbox, FilterAgainstAnonymousCode) {
  write_file("f", "content");
  // An absolute path, which a view has to put another one in the place of.
  std::string path = at("f");
  for (uint32_t action : {SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO | EPERM}) {
    Captured child = capture([&] {
      if (filter_anonymous_code(action) != 0) return 1;
      ::execl(own_binary().c_str(), "syscall_tests", "--helper", "append", path.c_str(), "+",
              nullptr);
      return 2;
    });
    EXPECT_TRUE(exited_with(child.status, 0)) << child.status << child.output;
  }
  EXPECT_EQ(read_file("f"), "content++");
}

TEST_F(Sandbox, FilterAnswersItself) {
  write_file("f", "content");
  int status = run_child([] {
    CHILD_CHECK(filter_call(SYS_openat, SECCOMP_RET_ERRNO | EXDEV, 0) == 0);
    CHILD_CHECK(sys(SYS_openat, AT_FDCWD, "f", O_RDONLY, 0) == -EXDEV);
    CHILD_CHECK(stat_of("f").st_size == 7);
    // A call to a tracer that isn't there.
    CHILD_CHECK(filter_call(SYS_getppid, SECCOMP_RET_TRACE, 0) == 0);
    CHILD_CHECK(sys(SYS_getppid) == -ENOSYS);
    return 0;
  });
  EXPECT_TRUE(exited_with(status, 0)) << status;
}

}  // namespace
}  // namespace viewsh_test
