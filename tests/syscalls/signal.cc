// Signals and trapped calls: EINTR, SA_RESTART, and never an effect twice or lost.

#include <sys/time.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <ctime>

#include "support.h"

namespace viewsh_test {
namespace {

std::atomic<int> g_signals;

void count_signal(int) { ++g_signals; }

void handle(int signal, int flags) {
  struct sigaction action = {};
  action.sa_handler = count_signal;
  action.sa_flags = flags;
  ::sigaction(signal, &action, nullptr);
}

class Signal : public SyscallTest {
 protected:
  void SetUp() override {
    SyscallTest::SetUp();
    g_signals = 0;
  }
  void TearDown() override {
    ::signal(SIGUSR1, SIG_DFL);
    ::signal(SIGALRM, SIG_DFL);
    SyscallTest::TearDown();
  }
};

/// Signals as fast as the timer gives them, as long as this lives.
class SignalStorm {
 public:
  explicit SignalStorm(int microseconds) {
    handle(SIGALRM, SA_RESTART);
    itimerval timer = {{0, microseconds}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
  }
  ~SignalStorm() {
    itimerval timer = {};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
    ::signal(SIGALRM, SIG_IGN);
  }
};

// Starts a child that opens a FIFO without a peer, with `flags` of its SIGUSR1 handler. It writes
// one byte per handled signal into `events`, and exits with what `report` makes of open's result.
pid_t open_fifo_in_child(int flags, int event_fd, int (*report)(long)) {
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  static int out;
  out = event_fd;
  struct sigaction action = {};
  action.sa_handler = [](int) { (void)!::write(out, "s", 1); };
  action.sa_flags = flags;
  ::sigaction(SIGUSR1, &action, nullptr);
  (void)!::write(out, "r", 1);
  long fd = sys(SYS_openat, AT_FDCWD, "fifo", O_RDONLY, 0);
  ::_exit(report(fd));
}

TEST_F(Signal, InterruptsABlockingOpen) {
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  pid_t pid = open_fifo_in_child(0, ends[1], [](long fd) { return fd == -EINTR ? 0 : 1; });
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  // One that comes before the open only runs the handler; the one that comes during it ends it.
  int status = -1;
  EXPECT_TRUE(wait_until([&] {
    if (::waitpid(pid, &status, WNOHANG) == pid) return true;
    ::kill(pid, SIGUSR1);
    return false;
  }));
  EXPECT_TRUE(exited_with(status, 0)) << status;
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Signal, RestartsABlockingOpen) {
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  pid_t pid = open_fifo_in_child(SA_RESTART, ends[1], [](long fd) { return fd >= 0 ? 0 : 1; });
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(::kill(pid, SIGUSR1), 0);
    ASSERT_EQ(::read(ends[0], &byte, 1), 1);  // handled, and open goes on waiting
    EXPECT_EQ(byte, 's');
  }
  Fd writer = open_fd("fifo", O_WRONLY);
  EXPECT_TRUE(writer.ok());
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0)) << status;
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Signal, KillEndsABlockingOpen) {
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  pid_t pid = open_fifo_in_child(SA_RESTART, ends[1], [](long) { return 0; });
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFSIGNALED(status));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Signal, StopAndContinueDuringABlockingOpen) {
  ASSERT_EQ(::mkfifo("fifo", 0600), 0);
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  pid_t pid = open_fifo_in_child(0, ends[1], [](long fd) { return fd >= 0 ? 0 : 1; });
  char byte = 0;
  ASSERT_EQ(::read(ends[0], &byte, 1), 1);
  int status = -1;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(::kill(pid, SIGSTOP), 0);
    ASSERT_EQ(::waitpid(pid, &status, WUNTRACED), pid);
    ASSERT_TRUE(WIFSTOPPED(status));
    ASSERT_EQ(::kill(pid, SIGCONT), 0);
  }
  Fd writer = open_fd("fifo", O_WRONLY);
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0)) << status;
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Signal, NeverRepeatsAnEffect) {
  SignalStorm storm(300);
  for (int i = 0; g_signals < 300 || i < 200; ++i) {
    ASSERT_EQ(sys(SYS_mkdir, "d", 0755), 0) << i;
    long fd = sys(SYS_openat, AT_FDCWD, "d/f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ASSERT_GE(fd, 0) << i;
    ASSERT_EQ(sys(SYS_close, fd), 0);
    ASSERT_EQ(sys(SYS_link, "d/f", "d/g"), 0) << i;
    ASSERT_EQ(sys(SYS_symlink, "f", "d/s"), 0) << i;
    ASSERT_EQ(sys(SYS_rename, "d/f", "d/h"), 0) << i;
    ASSERT_EQ(sys(SYS_unlink, "d/h"), 0) << i;
    ASSERT_EQ(sys(SYS_unlink, "d/g"), 0) << i;
    ASSERT_EQ(sys(SYS_unlink, "d/s"), 0) << i;
    ASSERT_EQ(sys(SYS_rmdir, "d"), 0) << i;
    ASSERT_LT(i, 1000000);
  }
}

TEST_F(Signal, NeverLosesADescriptor) {
  write_file("f", "");
  Fd lowest = open_fd("f", O_RDONLY);
  int expected = lowest.get();
  lowest.reset(-1);
  SignalStorm storm(300);
  for (int i = 0; g_signals < 300 || i < 500; ++i) {
    long fd = sys(SYS_openat, AT_FDCWD, "f", O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(fd, expected) << i;  // an open done twice would leave one behind
    ASSERT_EQ(sys(SYS_close, fd), 0);
  }
}

TEST_F(Signal, AppendsAreCounted) {
  Fd fd = open_fd("log", O_WRONLY | O_CREAT | O_APPEND);
  SignalStorm storm(300);
  int lines = 0;
  for (; g_signals < 200 || lines < 500; ++lines) {
    ASSERT_EQ(sys(SYS_write, fd.get(), "line\n", 5), 5);
    ASSERT_EQ(stat_of("log").st_size, (lines + 1) * 5);
  }
}

TEST_F(Signal, ForksAndExecsUnderFire) {
  SignalStorm storm(1000);
  for (int i = 0; i < 30; ++i) {
    Captured result = capture([] {
      ::execl("/bin/sh", "sh", "-c", "echo one; exit 3", nullptr);
      return 1;
    });
    EXPECT_EQ(result.output, "one\n");
    EXPECT_TRUE(exited_with(result.status, 3));
  }
}

/// Handlers interrupt handlers. Where a call takes longer than the next signal to come, they would
/// do so without an end: what is too deep returns at once.
TEST_F(Signal, HandlersMakeTrappedCallsThemselves) {
  write_file("f", "");
  struct sigaction action = {};
  action.sa_handler = [](int) {
    constexpr int kDeepest = 8;
    static volatile sig_atomic_t depth = 0;
    if (depth >= kDeepest) return;
    depth = depth + 1;
    struct stat st;
    if (::stat("f", &st) == 0) ++g_signals;
    depth = depth - 1;
  };
  action.sa_flags = SA_RESTART | SA_NODEFER;
  ASSERT_EQ(::sigaction(SIGALRM, &action, nullptr), 0);
  itimerval timer = {{0, 500}, {0, 500}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &timer, nullptr), 0);
  for (int i = 0; g_signals < 200; ++i) {
    struct stat st;
    ASSERT_EQ(::stat("f", &st), 0);
    ASSERT_EQ(sys(SYS_access, "none", F_OK), -ENOENT);
    ASSERT_LT(i, 10000000);
  }
  timer = {};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &timer, nullptr), 0);
  ::signal(SIGALRM, SIG_IGN);
}

TEST_F(Signal, AlternateStack) {
  write_file("f", "");
  std::vector<char> stack(65536);
  stack_t alternate = {};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  ASSERT_EQ(::sigaltstack(&alternate, nullptr), 0);
  struct sigaction action = {};
  action.sa_handler = [](int) {
    struct stat st;
    if (::stat("f", &st) == 0) ++g_signals;
  };
  action.sa_flags = SA_ONSTACK;
  ASSERT_EQ(::sigaction(SIGUSR1, &action, nullptr), 0);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(::raise(SIGUSR1), 0);
  EXPECT_EQ(g_signals, 50);
  alternate.ss_flags = SS_DISABLE;
  ASSERT_EQ(::sigaltstack(&alternate, nullptr), 0);
}

TEST_F(Signal, MaskedWaits) {
  handle(SIGUSR1, 0);
  sigset_t mask;
  sigset_t old;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR1);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &mask, &old), 0);
  ASSERT_EQ(::raise(SIGUSR1), 0);
  EXPECT_EQ(g_signals, 0);
  EXPECT_FALSE(exists("none"));
  EXPECT_EQ(g_signals, 0);
  EXPECT_EQ(::sigsuspend(&old), -1);
  EXPECT_EQ(g_signals, 1);
  ASSERT_EQ(::sigprocmask(SIG_SETMASK, &old, nullptr), 0);
}

TEST_F(Signal, FaultsReachTheirHandler) {
  EXPECT_TRUE(exited_with(run_child([] {
                            struct sigaction action = {};
                            action.sa_sigaction = [](int, siginfo_t* info, void*) {
                              bool right = info->si_addr == reinterpret_cast<void*>(0x10) &&
                                           info->si_code == SEGV_MAPERR;
                              ::_exit(right ? 0 : 1);
                            };
                            action.sa_flags = SA_SIGINFO;
                            ::sigaction(SIGSEGV, &action, nullptr);
                            volatile uintptr_t address = 0x10;
                            return *reinterpret_cast<volatile int*>(address);
                          }),
                          0));
}

TEST_F(Signal, SenderIsTold) {
  EXPECT_TRUE(exited_with(run_child([] {
                            sigset_t mask;
                            sigemptyset(&mask);
                            sigaddset(&mask, SIGRTMIN);
                            ::sigprocmask(SIG_BLOCK, &mask, nullptr);
                            sigval value = {};
                            value.sival_int = 77;
                            if (::sigqueue(::getpid(), SIGRTMIN, value) != 0) return 1;
                            siginfo_t info = {};
                            if (::sigwaitinfo(&mask, &info) != SIGRTMIN) return 2;
                            return info.si_pid == ::getpid() && info.si_value.sival_int == 77 ? 0
                                                                                              : 3;
                          }),
                          0));
}

}  // namespace
}  // namespace viewsh_test
