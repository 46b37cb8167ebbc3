// One binary: the tests, and the small programs that they execute.

#include <sys/auxv.h>
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "support.h"

namespace viewsh_test {
namespace {

std::string comm() {
  std::array<char, 17> name = {};
  ::prctl(PR_GET_NAME, name.data());
  return name.data();
}

// What a program sees of how it was started, a line each.
void print_identity(int argc, char** argv) {
  std::printf("pid=%d\n", static_cast<int>(::getpid()));
  std::printf("tid=%d\n", static_cast<int>(::gettid()));
  std::printf("exe=%s\n", read_link("/proc/self/exe").c_str());
  std::printf("execfn=%s\n", reinterpret_cast<const char*>(::getauxval(AT_EXECFN)));
  std::printf("comm=%s\n", comm().c_str());
  std::array<char, 4096> cwd = {};
  std::printf("cwd=%s\n", ::getcwd(cwd.data(), cwd.size()));
  for (int i = 0; i < argc; ++i) std::printf("argv[%d]=%s\n", i, argv[i]);
  const char* value = ::getenv("HELPER_VALUE");
  std::printf("env=%s\n", value == nullptr ? "-" : value);
}

void print_descriptors() {
  for (int fd = 3; fd < 64; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) std::printf("fd=%d\n", fd);
  }
}

void print_signals() {
  struct sigaction action;
  ::sigaction(SIGUSR1, nullptr, &action);
  std::printf("usr1=%s\n", action.sa_handler == SIG_DFL ? "default" : "other");
  ::sigaction(SIGUSR2, nullptr, &action);
  std::printf("usr2=%s\n", action.sa_handler == SIG_IGN ? "ignored" : "other");
  sigset_t mask;
  ::sigprocmask(SIG_SETMASK, nullptr, &mask);
  std::printf("term=%s\n", sigismember(&mask, SIGTERM) == 1 ? "blocked" : "open");
}

int append(const char* path, const std::string& text) {
  int fd = ::open(path, O_WRONLY | O_APPEND);
  return fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                               : 1;
}

}  // namespace

int run_helper(int argc, char** argv) {
  std::string name = argc > 2 ? argv[2] : "";
  if (name == "identity") {
    print_identity(argc, argv);
  } else if (name == "descriptors") {
    print_descriptors();
  } else if (name == "signals") {
    print_signals();
  } else if (name == "append") {
    return append(argc > 4 ? argv[3] : "", argc > 4 ? argv[4] : "");
  } else if (name == "files") {
    std::printf("work=%d\n", argc > 4 ? file_work(argv[3], argv[4]) : -1);
  } else if (name == "dumpable") {
    std::printf("dumpable=%d\n", ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
  } else if (name == "exit") {
    return std::atoi(argc > 3 ? argv[3] : "0");
  } else {
    std::fprintf(stderr, "no helper %s\n", name.c_str());
    return 99;
  }
  return 0;
}

}  // namespace viewsh_test

#ifdef __SANITIZE_ADDRESS__
// Leaks can't be looked for in a process that is traced already; tests clear the environment.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }  // NOLINT: its name
#endif

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--helper") return viewsh_test::run_helper(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  viewsh_test::own_binary();  // remembered before any test changes what it depends on
  if (argc > 1) {
    std::fprintf(stderr, "syscall_tests: unknown argument %s\n", argv[1]);
    return 2;
  }
  return RUN_ALL_TESTS();
}
