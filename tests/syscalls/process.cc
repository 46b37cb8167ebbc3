// fork, vfork, clone, clone3, waiting, stopping, orphans; threads and what they share.

#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "support.h"

namespace viewsh_test {
namespace {

using Process = SyscallTest;
using Thread = SyscallTest;

TEST_F(Process, ForkCopies) {
  int value = 1;
  EXPECT_TRUE(exited_with(run_child([&] { return ++value; }), 2));
  EXPECT_EQ(value, 1);
  EXPECT_TRUE(exited_with(run_child([&] { return ::getppid() == 0 ? 1 : 0; }), 0));
}

TEST_F(Process, RawForkVariants) {
  for (long number : {static_cast<long>(SYS_fork), static_cast<long>(SYS_clone)}) {
    long pid = number == SYS_fork ? sys(SYS_fork) : sys(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
      write_file("child" + std::to_string(number), "made");
      ::_exit(7);
    }
    ASSERT_GT(pid, 0);
    int status = -1;
    EXPECT_EQ(::waitpid(static_cast<pid_t>(pid), &status, 0), pid);
    EXPECT_TRUE(exited_with(status, 7));
    EXPECT_EQ(read_file("child" + std::to_string(number)), "made");
  }
}

/// clone(2) as it is, and what stands in its argument register afterwards.
long raw_clone(uint64_t flags, uint64_t* flags_after) {
  long result = 0;
  register uint64_t r10 asm("r10") = 0;
  register uint64_t r8 asm("r8") = 0;
  asm volatile("syscall"
               : "=a"(result), "+D"(flags)
               : "a"(SYS_clone), "S"(0), "d"(0), "r"(r10), "r"(r8)
               : "rcx", "r11", "memory");
  *flags_after = flags;
  return result;
}

/// CLONE_UNTRACED tells a tracer to stay away. Nobody traces here, as far as a program can see.
TEST_F(Process, UntracedChildrenAreInTheViewToo) {
  write_file("seven", "seven b");
  std::string absolute = at("seven");
  uint64_t flags = SIGCHLD | CLONE_UNTRACED;
  uint64_t after = 0;
  long pid = raw_clone(flags, &after);
  if (pid == 0) ::_exit(after == flags ? file_work("d", absolute.c_str()) : 99);
  ASSERT_GT(pid, 0);
  EXPECT_EQ(after, flags);
  int status = -1;
  EXPECT_EQ(::waitpid(static_cast<pid_t>(pid), &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0)) << status;
  clone_args args = {};
  EXPECT_EQ(sys(SYS_clone3, nullptr, sizeof(args)), -EFAULT);
  EXPECT_EQ(sys(SYS_clone3, &args, 8), -EINVAL);
}

/// A forked copy of a task that makes many calls may run where its maker may.
TEST_F(Process, AffinityIsInherited) {
  cpu_set_t own;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(own), &own), 0);
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 200; ++i) exists("none");
    int status = run_child([&] {
      cpu_set_t mask;
      if (::sched_getaffinity(0, sizeof(mask), &mask) != 0 || !CPU_EQUAL(&own, &mask)) return 1;
      for (int i = 0; i < 200; ++i) exists("none");
      return run_child([&] {
               return ::sched_getaffinity(0, sizeof(mask), &mask) == 0 && CPU_EQUAL(&own, &mask)
                          ? 0
                          : 1;
             }) == 0
                 ? 0
                 : 2;
    });
    EXPECT_TRUE(exited_with(status, 0)) << status;
  }
}

TEST_F(Process, Clone3GivesAPidfd) {
  int pidfd = -1;
  clone_args args = {};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  long pid = sys(SYS_clone3, &args, sizeof(args));
  if (pid == -ENOSYS) GTEST_SKIP() << "this kernel has no clone3";
  if (pid == 0) {
    ::_exit(exists("none") ? 1 : 9);
  }
  ASSERT_GT(pid, 0);
  Fd process(pidfd);
  siginfo_t info = {};
  EXPECT_EQ(::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED), 0);
  EXPECT_EQ(info.si_status, 9);
  EXPECT_EQ(info.si_code, CLD_EXITED);
}

TEST_F(Process, SharedFileSystemContext) {
  // CLONE_FS: one cwd and umask for both.
  ASSERT_EQ(::mkdir("d", 0755), 0);
  long pid = sys(SYS_clone, SIGCHLD | CLONE_FS, 0, 0, 0, 0);
  if (pid == 0) {
    ::umask(070);
    ::_exit(::chdir("d") == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(static_cast<pid_t>(pid), &status, 0), pid);
  std::array<char, 4096> cwd = {};
  EXPECT_STREQ(::getcwd(cwd.data(), cwd.size()), at("d").c_str());
  write_file("f", "");
  EXPECT_TRUE(exists(at("d/f")));
  EXPECT_EQ(::umask(022), 070U);
  EXPECT_EQ(::chdir(".."), 0);
}

TEST_F(Process, SharedDescriptors) {
  write_file("f", "");
  long pid = sys(SYS_clone, SIGCHLD | CLONE_FILES, 0, 0, 0, 0);
  if (pid == 0) {
    long fd = sys(SYS_openat, AT_FDCWD, "f", O_RDONLY);
    ::_exit(sys(SYS_dup2, fd, 150) == 150 && sys(SYS_close, fd) == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(static_cast<pid_t>(pid), &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0));
  EXPECT_EQ(read_link("/proc/self/fd/150"), at("f"));
  EXPECT_EQ(::close(150), 0);
}

TEST_F(Process, VforkWaitsForTheChild) {
  volatile int order = 0;
  pid_t pid = ::vfork();
  if (pid == 0) {
    order = 1;
    ::_exit(3);
  }
  EXPECT_EQ(order, 1);
  int status = -1;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 3));
}

TEST_F(Process, StatusOfSignals) {
  for (int signal : {SIGTERM, SIGKILL, SIGSEGV, SIGUSR1}) {
    int status = run_child([&] {
      ::signal(signal, SIG_DFL);
      ::prctl(PR_SET_DUMPABLE, 0);
      ::raise(signal);
      return 0;
    });
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), signal);
  }
}

TEST_F(Process, StopAndContinueAreSeen) {
  pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  int status = -1;
  for (int round = 0; round < 3; ++round) {
    ASSERT_EQ(::kill(pid, SIGSTOP), 0);
    ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
    EXPECT_TRUE(WIFSTOPPED(status));
    EXPECT_EQ(WSTOPSIG(status), SIGSTOP);
    ASSERT_EQ(::kill(pid, SIGCONT), 0);
    ASSERT_EQ(::waitpid(pid, &status, WCONTINUED), pid);
    EXPECT_TRUE(WIFCONTINUED(status));
  }
  EXPECT_EQ(::waitpid(pid, &status, WNOHANG), 0);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(sys(SYS_wait4, -1, nullptr, 0, nullptr), -ECHILD);
}

TEST_F(Process, KilledWhileStopped) {
  pid_t pid = ::fork();
  if (pid == 0) {
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
  ASSERT_TRUE(WIFSTOPPED(status));
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
}

TEST_F(Process, ChildSignalComesOnce) {
  static std::atomic<int> count;
  count = 0;
  struct sigaction action = {};
  struct sigaction old;
  action.sa_handler = [](int) { ++count; };
  action.sa_flags = SA_RESTART;
  ASSERT_EQ(::sigaction(SIGCHLD, &action, &old), 0);
  for (int i = 1; i <= 20; ++i) {
    EXPECT_TRUE(exited_with(run_child([] { return exists("none") ? 1 : 0; }), 0));
    EXPECT_TRUE(wait_until([&] { return count >= i; }));
    EXPECT_EQ(count, i);
  }
  ::sigaction(SIGCHLD, &old, nullptr);
}

TEST_F(Process, OrphansFindTheirNewParent) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  pid_t self = ::getpid();
  pid_t pid = ::fork();
  if (pid == 0) {
    pid_t middle = ::getpid();
    if (::fork() == 0) {
      wait_until([&] { return ::getppid() != middle; });
      char ok = ::getppid() == self && exists("/") ? 'y' : 'n';
      (void)!::write(ends[1], &ok, 1);
      ::_exit(0);
    }
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  char answer = 0;
  EXPECT_EQ(::read(ends[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_GT(::wait(&status), 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Process, ManyAtOnce) {
  constexpr int kCount = 100;
  std::vector<pid_t> children;
  for (int i = 0; i < kCount; ++i) {
    pid_t pid = ::fork();
    if (pid == 0) {
      std::string name = "p" + std::to_string(i);
      write_file(name, name);
      ::_exit(read_file(name) == name && ::unlink(name.c_str()) == 0 ? i % 100 : 255);
    }
    ASSERT_GT(pid, 0);
    children.push_back(pid);
  }
  for (int i = 0; i < kCount; ++i) {
    int status = -1;
    ASSERT_EQ(::waitpid(children[static_cast<size_t>(i)], &status, 0),
              children[static_cast<size_t>(i)]);
    EXPECT_TRUE(exited_with(status, i % 100)) << i;
  }
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
}

TEST_F(Process, SessionsAndGroups) {
  EXPECT_TRUE(exited_with(run_child([] {
                            if (::setsid() != ::getpid()) return 1;
                            if (::getsid(0) != ::getpid()) return 2;
                            return ::setpgid(0, 0) == -1 && errno == EPERM ? 0 : 3;
                          }),
                          0));
}

TEST_F(Thread, ShareTheWorkingDirectory) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/f", "below");
  std::thread([] { EXPECT_EQ(::chdir("d"), 0); }).join();
  EXPECT_EQ(read_file("f"), "below");
  EXPECT_EQ(::chdir(dir().c_str()), 0);
}

TEST_F(Thread, MayPartWithIt) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  std::thread([this] {
    ASSERT_EQ(sys(SYS_unshare, CLONE_FS), 0);
    ASSERT_EQ(::chdir("d"), 0);
    EXPECT_EQ(read_link("/proc/thread-self/cwd"), at("d"));
    write_file("f", "");
  }).join();
  EXPECT_EQ(read_link("/proc/self/cwd"), dir());
  EXPECT_TRUE(exists("d/f"));
}

TEST_F(Thread, ComeAndGo) {
  std::atomic<int> found{0};
  write_file("f", "");
  for (int round = 0; round < 20; ++round) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 10; ++i) {
      threads.emplace_back([&] { found += exists("f") ? 1 : 0; });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(found, 200);
}

TEST_F(Thread, LeaderMayEndFirst) {
  EXPECT_TRUE(exited_with(run_child([] {
                            pthread_t thread;
                            auto body = [](void*) -> void* {
                              if (!wait_until([] {
                                    return read_file("/proc/self/stat").find(" Z ") !=
                                           std::string::npos;
                                  })) {
                                ::_exit(3);
                              }
                              ::_exit(exists("/") ? 5 : 6);
                            };
                            if (::pthread_create(&thread, nullptr, body, nullptr) != 0) return 1;
                            sys(SYS_exit, 0);
                            return 2;
                          }),
                          5));
}

TEST_F(Thread, GroupExitEndsAll) {
  int status = run_child([] {
    for (int i = 0; i < 8; ++i) {
      std::thread([] {
        for (;;) exists("none");
      }).detach();
    }
    return exists("none") ? 1 : 11;
  });
  EXPECT_TRUE(exited_with(status, 11));
}

TEST_F(Thread, ForkFromAThread) {
  write_file("f", "content");
  std::thread([] {
    EXPECT_TRUE(exited_with(run_child([] { return read_file("f") == "content" ? 0 : 1; }), 0));
  }).join();
}

}  // namespace
}  // namespace viewsh_test
