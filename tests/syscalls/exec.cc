// execve and execveat: programs, scripts, links, descriptors; from any thread.

#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "support.h"

namespace viewsh_test {
namespace {

class Exec : public SyscallTest {
 protected:
  /// The test binary as a program of this directory.
  void install(const std::string& name) {
    std::filesystem::copy_file(own_binary(), name);
    ASSERT_EQ(::chmod(name.c_str(), 0755), 0);
  }
  /// Executes `path` with `args` in a child; what it prints. Exit status 200 + errno if it did not
  /// start (as far as that fits).
  Captured run(const std::string& path, const std::vector<std::string>& args,
               const std::vector<std::string>& env = {}) {
    return capture([&] {
      long error = execve(path, args, env);
      return 120 + static_cast<int>(-error);
    });
  }
  static long execve(const std::string& path, const std::vector<std::string>& args,
                     const std::vector<std::string>& env) {
    std::vector<char*> argv;
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> envp;
    for (const std::string& value : env) envp.push_back(const_cast<char*>(value.c_str()));
    envp.push_back(nullptr);
    return sys(SYS_execve, path.c_str(), argv.data(), envp.data());
  }
  static bool has_line(const Captured& result, const std::string& line) {
    return ("\n" + result.output).find("\n" + line + "\n") != std::string::npos;
  }
  int failure(const std::string& path) {
    Captured result = run(path, {path});
    return WIFEXITED(result.status) ? WEXITSTATUS(result.status) - 120 : -1;
  }
  void script(const std::string& name, const std::string& text) {
    write_file(name, text, 0755);
    ASSERT_EQ(::chmod(name.c_str(), 0755), 0);
  }
};

TEST_F(Exec, ProgramOfThisDirectory) {
  install("a.out");
  for (const std::string& path : {std::string("./a.out"), std::string("a.out"), at("a.out")}) {
    Captured result = run(path, {"any name", "--helper", "identity", "last"},
                          {"HELPER_VALUE=of the environment"});
    EXPECT_TRUE(exited_with(result.status, 0)) << path << result.output;
    EXPECT_TRUE(has_line(result, "exe=" + at("a.out"))) << result.output;
    EXPECT_TRUE(has_line(result, "execfn=" + path)) << result.output;
    EXPECT_TRUE(has_line(result, "comm=a.out")) << result.output;
    EXPECT_TRUE(has_line(result, "argv[0]=any name")) << result.output;
    EXPECT_TRUE(has_line(result, "argv[3]=last")) << result.output;
    EXPECT_TRUE(has_line(result, "env=of the environment")) << result.output;
    EXPECT_TRUE(has_line(result, "cwd=" + dir())) << result.output;
  }
}

TEST_F(Exec, ThroughALink) {
  install("program");
  ASSERT_EQ(::symlink("program", "alias"), 0);
  Captured result = run("./alias", {"x", "--helper", "identity"});
  EXPECT_TRUE(has_line(result, "exe=" + at("program"))) << result.output;
  EXPECT_TRUE(has_line(result, "execfn=./alias")) << result.output;
  EXPECT_TRUE(has_line(result, "comm=alias")) << result.output;
}

TEST_F(Exec, RelativeToADescriptor) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  install("d/program");
  Fd base = open_fd("d", O_PATH | O_CLOEXEC);
  std::array<char*, 4> argv = {const_cast<char*>("x"), const_cast<char*>("--helper"),
                               const_cast<char*>("identity"), nullptr};
  Captured result = capture([&] {
    return static_cast<int>(-sys(SYS_execveat, base.get(), "program", argv.data(), ::environ, 0));
  });
  EXPECT_TRUE(has_line(result, "exe=" + at("d/program"))) << result.output;
  Fd fd = open_fd("d/program", O_RDONLY | O_CLOEXEC);
  result = capture([&] {
    return static_cast<int>(
        -sys(SYS_execveat, fd.get(), "", argv.data(), ::environ, AT_EMPTY_PATH));
  });
  EXPECT_TRUE(has_line(result, "exe=" + at("d/program"))) << result.output;
  EXPECT_TRUE(has_line(result, "execfn=/dev/fd/" + std::to_string(fd.get()))) << result.output;
  ASSERT_EQ(::symlink("program", "d/link"), 0);
  EXPECT_EQ(sys(SYS_execveat, base.get(), "link", argv.data(), ::environ, AT_SYMLINK_NOFOLLOW),
            -ELOOP);
  EXPECT_EQ(sys(SYS_execveat, base.get(), "program", argv.data(), ::environ, 0x40000), -EINVAL);
}

TEST_F(Exec, Script) {
  script("s.sh", "#!/bin/sh\necho \"$0|$1|$#\"\n");
  Captured result = run("./s.sh", {"ignored", "one two"});
  EXPECT_EQ(result.output, "./s.sh|one two|1\n");
  result = run("s.sh", {"ignored"});
  EXPECT_EQ(result.output, "s.sh||0\n");
  result = run(at("s.sh"), {"ignored", "a", "b"});
  EXPECT_EQ(result.output, at("s.sh") + "|a|2\n");
}

TEST_F(Exec, ScriptWithInterpreterArgument) {
  install("interp");
  script("s", "#! ./interp  --helper identity \nrest\n");
  Captured result = run("./s", {"ignored", "extra"});
  // One argument, blanks inside kept, blanks round it dropped.
  EXPECT_NE(WEXITSTATUS(result.status), 0);
  script("t", "#!./interp\t--helper\n");
  result = run("./t", {"ignored", "identity"});
  EXPECT_EQ(result.output, "no helper ./t\n");
  EXPECT_TRUE(exited_with(result.status, 99));
}

TEST_F(Exec, ScriptOfAScript) {
  install("interp");
  script("inner", "#!" + at("interp") + " --helper\n");
  script("outer", "#!" + at("inner") + " identity\n");
  Captured result = run("./outer", {"x", "tail"});
  EXPECT_EQ(result.output, "no helper " + at("inner") + "\n");
  // Each level adds one; the kernel gives up after five.
  script("level0", "#!/bin/sh\necho end\n");
  for (int i = 1; i <= 6; ++i) {
    script("level" + std::to_string(i), "#!./level" + std::to_string(i - 1) + "\n");
  }
  EXPECT_EQ(failure("./level6"), ELOOP);
}

TEST_F(Exec, FailuresLeaveTheProcessAsItWas) {
  write_file("plain", "no program\n", 0644);
  write_file("data", "no program\n", 0755);
  write_file("empty", "", 0755);
  ASSERT_EQ(::mkdir("d", 0755), 0);
  script("no_interp", "#!/none/such\n");
  script("blank", "#!\n");
  script("directory_interp", "#!" + dir() + "\n");
  ASSERT_EQ(::symlink("loop", "loop"), 0);
  EXPECT_EQ(failure("./none"), ENOENT);
  EXPECT_EQ(failure("./plain"), EACCES);
  EXPECT_EQ(failure("./data"), ENOEXEC);
  EXPECT_EQ(failure("./empty"), ENOEXEC);
  EXPECT_EQ(failure("./d"), EACCES);
  EXPECT_EQ(failure("./plain/x"), ENOTDIR);
  EXPECT_EQ(failure("./no_interp"), ENOENT);
  EXPECT_EQ(failure("./blank"), ENOEXEC);
  EXPECT_EQ(failure("./directory_interp"), EACCES);
  EXPECT_EQ(failure("./loop"), ELOOP);
  EXPECT_EQ(failure(""), ENOENT);
}

TEST_F(Exec, ProgramsThatMayBeRunButNotRead) {
  install("program");
  write_file("seven", "seven b");
  ASSERT_EQ(::chmod("program", 0111), 0);
  Captured result = run("./program", {"x", "--helper", "identity"}, {"HELPER_VALUE=v"});
  EXPECT_TRUE(exited_with(result.status, 0)) << result.status << result.output;
  EXPECT_TRUE(has_line(result, "exe=" + at("program"))) << result.output;
  EXPECT_TRUE(has_line(result, "execfn=./program")) << result.output;
  EXPECT_TRUE(has_line(result, "comm=program")) << result.output;
  EXPECT_TRUE(has_line(result, "env=v")) << result.output;
  EXPECT_TRUE(has_line(result, "cwd=" + dir())) << result.output;
  result = run("./program", {"x", "--helper", "files", "d", at("seven")});
  EXPECT_EQ(result.output, "work=0\n");
  if (::geteuid() != 0) {
    result = run("./program", {"x", "--helper", "dumpable"});
    EXPECT_EQ(result.output, "dumpable=" + read_file("/proc/sys/fs/suid_dumpable"));
  }
  script("s.sh", "#!/bin/sh\necho ran\n");
  ASSERT_EQ(::chmod("s.sh", 0111), 0);
  if (::geteuid() != 0) {
    // The kernel starts the shell, and the shell can't read it.
    result = run("./s.sh", {"x"});
    EXPECT_TRUE(WIFEXITED(result.status) && WEXITSTATUS(result.status) != 0) << result.status;
    EXPECT_EQ(result.output.find("ran"), std::string::npos) << result.output;
    EXPECT_NE(result.output.find("s.sh"), std::string::npos) << result.output;
  }
  ASSERT_EQ(::chmod("program", 0444), 0);
  EXPECT_EQ(failure("./program"), EACCES);
}

/// Texts too large for the usual place, in an address space that two tasks share.
TEST_F(Exec, ManyArgumentsFromTwoThreadsAtOnce) {
  script("s.sh", "#!/bin/sh\necho $# ${3000}\n");
  std::atomic<int> good{0};
  auto body = [&](const std::string& last) {
    std::vector<std::string> args(3001, "a");
    args.back() = last;
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    for (int i = 0; i < 10; ++i) {
      std::string name = "out" + last;
      posix_spawn_file_actions_t actions;
      ::posix_spawn_file_actions_init(&actions);
      ::posix_spawn_file_actions_addopen(&actions, 1, name.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                         0644);
      pid_t pid = 0;
      int status = -1;
      bool fine = ::posix_spawn(&pid, "./s.sh", &actions, nullptr, argv.data(), ::environ) == 0 &&
                  ::waitpid(pid, &status, 0) == pid && exited_with(status, 0) &&
                  read_file(name) == "3000 " + last + "\n";
      ::posix_spawn_file_actions_destroy(&actions);
      if (fine) ++good;
    }
  };
  std::thread one(body, "x");
  std::thread other(body, "y");
  one.join();
  other.join();
  EXPECT_EQ(good, 20);
}

TEST_F(Exec, ClosedOnExecutionWhenAskedFor) {
  install("program");
  write_file("f", "");
  Captured result = capture([&] {
    sys(SYS_close_range, 3, ~0U, 0);
    long kept = sys(SYS_openat, AT_FDCWD, "f", O_RDONLY);
    long gone = sys(SYS_openat, AT_FDCWD, "f", O_RDONLY | O_CLOEXEC);
    if (kept != 3 || gone != 4) return 1;
    return static_cast<int>(-execve("./program", {"x", "--helper", "descriptors"}, {}));
  });
  EXPECT_EQ(result.output, "fd=3\n");
}

TEST_F(Exec, ScriptByADescriptorThatCloses) {
  script("s.sh", "#!/bin/sh\necho ran\n");
  Fd closing = open_fd("s.sh", O_RDONLY | O_CLOEXEC);
  Fd staying = open_fd("s.sh", O_RDONLY);
  std::array<char*, 2> argv = {const_cast<char*>("x"), nullptr};
  EXPECT_EQ(sys(SYS_execveat, closing.get(), "", argv.data(), ::environ, AT_EMPTY_PATH), -ENOENT);
  Captured result = capture([&] {
    return static_cast<int>(
        -sys(SYS_execveat, staying.get(), "", argv.data(), ::environ, AT_EMPTY_PATH));
  });
  EXPECT_EQ(result.output, "ran\n");
}

TEST_F(Exec, SignalsAreReset) {
  install("program");
  Captured result = capture([&] {
    ::signal(SIGUSR1, [](int) {});
    ::signal(SIGUSR2, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    return static_cast<int>(-execve("./program", {"x", "--helper", "signals"}, {}));
  });
  EXPECT_EQ(result.output, "usr1=default\nusr2=ignored\nterm=blocked\n");
}

TEST_F(Exec, FromAThreadThatIsNotTheLeader) {
  install("program");
  Captured result = capture([&] {
    std::atomic<bool> go{false};
    std::thread other([&] {
      while (!go) std::this_thread::yield();
      execve("./program", {"x", "--helper", "identity"}, {});
      ::_exit(1);
    });
    std::thread bystander([] {
      for (;;) ::pause();
    });
    std::printf("leader=%d\n", static_cast<int>(::getpid()));
    std::fflush(stdout);
    go = true;
    for (;;) ::pause();
    return 2;
  });
  EXPECT_TRUE(exited_with(result.status, 0)) << result.output;
  size_t end = result.output.find('\n');
  std::string pid = result.output.substr(7, end - 7);
  EXPECT_TRUE(has_line(result, "pid=" + pid)) << result.output;
  EXPECT_TRUE(has_line(result, "tid=" + pid)) << result.output;
}

TEST_F(Exec, InAVforkedChild) {
  install("program");
  std::array<char*, 5> argv = {const_cast<char*>("x"), const_cast<char*>("--helper"),
                               const_cast<char*>("exit"), const_cast<char*>("42"), nullptr};
  for (int i = 0; i < 20; ++i) {
    volatile int shared = 0;
    pid_t pid = ::vfork();
    if (pid == 0) {
      shared = 1;
      ::execve(i % 2 == 0 ? "./program" : "./none", argv.data(), ::environ);
      shared = errno;
      ::_exit(43);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(exited_with(status, i % 2 == 0 ? 42 : 43));
    EXPECT_EQ(shared, i % 2 == 0 ? 1 : ENOENT);
  }
}

TEST_F(Exec, TooManyArguments) {
  install("program");
  std::vector<std::string> args(200, std::string(128 * 1024, 'a'));
  EXPECT_EQ(execve("./program", args, {}), -E2BIG);
  EXPECT_EQ(execve("./program", {std::string(140 * 1024, 'a')}, {}), -E2BIG);
}

TEST_F(Exec, ManyArgumentsArrive) {
  install("program");
  std::vector<std::string> args = {"x", "--helper", "identity"};
  for (int i = 0; i < 3000; ++i) args.push_back("argument number " + std::to_string(i));
  Captured result = run("./program", args);
  EXPECT_TRUE(has_line(result, "argv[3002]=argument number 2999"));
  script("s.sh", "#!/bin/sh\necho $# \"$3000\"\n");
  args.assign(3001, "a");
  result = run("./s.sh", args);
  EXPECT_EQ(result.output.substr(0, 5), "3000 ");
}

TEST_F(Exec, FileThatIsWrittenTo) {
  install("program");
  Fd writer = open_fd("program", O_WRONLY | O_CLOEXEC);
  EXPECT_EQ(failure("./program"), ETXTBSY);
  writer.reset(-1);
  Captured result = run("./program", {"x", "--helper", "exit", "5"});
  EXPECT_TRUE(exited_with(result.status, 5));
}

TEST_F(Exec, ReplacedAndRemovedPrograms) {
  install("program");
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  Captured result = capture([&] {
    if (::unlink("program") != 0) return 1;
    script("program", "#!/bin/sh\necho new\n");
    return static_cast<int>(-execve("./program", {"x"}, {}));
  });
  EXPECT_EQ(result.output, "new\n");
}

TEST_F(Exec, PersonalNames) {
  EXPECT_EQ(::prctl(PR_SET_NAME, "renamed"), 0);
  std::string comm = read_file("/proc/self/comm");
  EXPECT_EQ(comm, "renamed\n");
  install("a_program_with_a_long_name");
  Captured result = run("./a_program_with_a_long_name", {"x", "--helper", "identity"});
  EXPECT_TRUE(has_line(result, "comm=a_program_with_")) << result.output;
}

}  // namespace
}  // namespace viewsh_test
