// /proc: self, exe, cwd, root, fd, mounts tell what the process lives in.

#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <sstream>

#include "support.h"

namespace viewsh_test {
namespace {

using ProcFs = SyscallTest;

std::string self_of(pid_t pid) { return "/proc/" + std::to_string(pid); }

TEST_F(ProcFs, SelfIsTheProcessThatAsks) {
  EXPECT_EQ(read_link("/proc/self"), std::to_string(::getpid()));
  EXPECT_EQ(read_link("/proc/thread-self"),
            std::to_string(::getpid()) + "/task/" + std::to_string(::gettid()));
  EXPECT_TRUE(exited_with(
      run_child([] { return read_link("/proc/self") == std::to_string(::getpid()) ? 0 : 1; }), 0));
  std::string stat = read_file("/proc/self/stat");
  EXPECT_EQ(stat.substr(0, stat.find(' ')), std::to_string(::getpid()));
}

TEST_F(ProcFs, LinksOfSelf) {
  EXPECT_EQ(read_link("/proc/self/cwd"), dir());
  EXPECT_EQ(read_link("/proc/self/root"), "/");
  EXPECT_EQ(read_link(self_of(::getpid()) + "/cwd"), dir());
  EXPECT_EQ(read_link("/proc/self/exe"), own_binary());
  EXPECT_EQ(stat_of("/proc/self/exe").st_ino, stat_of(own_binary()).st_ino);
  EXPECT_EQ(stat_of("/proc/self/cwd").st_ino, stat_of(".").st_ino);
  EXPECT_EQ(stat_of("/proc/self/root").st_ino, stat_of("/").st_ino);
  EXPECT_EQ(stat_of("/proc/self/root/.").st_ino, stat_of("/").st_ino);
}

TEST_F(ProcFs, PathsThroughItsLinks) {
  write_file("f", "content");
  EXPECT_EQ(read_file("/proc/self/cwd/f"), "content");
  EXPECT_EQ(read_file("/proc/self/root" + at("f")), "content");
  EXPECT_EQ(read_file("/proc/thread-self/cwd/f"), "content");
  EXPECT_EQ(read_file("/proc/self/task/" + std::to_string(::gettid()) + "/cwd/f"), "content");
  write_file("/proc/self/cwd/new", "made");
  EXPECT_EQ(read_file("new"), "made");
}

TEST_F(ProcFs, OfAnotherProcess) {
  ASSERT_EQ(::mkdir("d", 0755), 0);
  write_file("d/f", "of the child");
  std::array<int, 2> ready;
  std::array<int, 2> hold;
  ASSERT_EQ(::pipe(ready.data()), 0);
  ASSERT_EQ(::pipe(hold.data()), 0);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::close(hold[1]);
    char c = 0;
    bool ok = ::chdir("d") == 0;
    (void)!::write(ready[1], "r", 1);
    (void)!::read(hold[0], &c, 1);
    ::_exit(ok ? 0 : 1);
  }
  char c = 0;
  ASSERT_EQ(::read(ready[0], &c, 1), 1);
  EXPECT_EQ(read_link(self_of(pid) + "/cwd"), at("d"));
  EXPECT_EQ(read_file(self_of(pid) + "/cwd/f"), "of the child");
  EXPECT_EQ(read_link(self_of(pid) + "/exe"), own_binary());
  EXPECT_EQ(read_link(self_of(pid) + "/root"), "/");
  for (int fd : {ready[0], ready[1], hold[0], hold[1]}) ::close(fd);
  int status = -1;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(exited_with(status, 0));
}

TEST_F(ProcFs, CommandLine) {
  std::string line = read_file("/proc/self/cmdline");
  EXPECT_NE(line.find("syscall_tests"), std::string::npos);
  EXPECT_EQ(line.find("viewsh-loader"), std::string::npos);
  EXPECT_EQ(line.back(), '\0');
  EXPECT_NE(read_file("/proc/self/environ").find("TMPDIR="), std::string::npos);
}

TEST_F(ProcFs, MountsHaveARootAndWhereWeAre) {
  std::string mounts = read_file("/proc/self/mounts");
  EXPECT_NE(mounts.find(" / "), std::string::npos);
  std::istringstream lines(read_file("/proc/self/mountinfo"));
  std::string line;
  int roots = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    ASSERT_GE(fields.size(), 10U) << line;
    EXPECT_EQ(fields[2].find(':') != std::string::npos, true) << line;
    EXPECT_NE(std::find(fields.begin() + 6, fields.end(), "-"), fields.end()) << line;
    if (fields[4] == "/") ++roots;
  }
  EXPECT_GE(roots, 1);
  EXPECT_EQ(read_file("/proc/mounts"), mounts);
  EXPECT_EQ(read_link("/proc/mounts"), "self/mounts");
}

TEST_F(ProcFs, StatusSaysNobodyTraces) {
  if (mode() == Mode::kEmpty) GTEST_SKIP() << "an empty view looks at nothing";
  std::string status = read_file("/proc/self/status");
  EXPECT_NE(status.find("\nTracerPid:\t0\n"), std::string::npos);
}

TEST_F(ProcFs, TextsAreNoDirectories) {
  for (const char* path : {"/proc/self/maps", "/proc/self/status", "/proc/self/mounts"}) {
    EXPECT_EQ(sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0), -ENOTDIR) << path;
    std::string slash = std::string(path) + "/";
    EXPECT_EQ(sys(SYS_openat, AT_FDCWD, slash.c_str(), O_RDONLY, 0), -ENOTDIR) << path;
    Fd fd(sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, 0));
    EXPECT_TRUE(fd.ok()) << path;
  }
}

TEST_F(ProcFs, StatusTellsTheTasksOwnProcessors) {
  std::string before = read_file("/proc/self/status");
  auto allowed = [](const std::string& status) {
    size_t from = status.find("\nCpus_allowed:");
    return from == std::string::npos ? "" : status.substr(from, status.find('\n', from + 1) - from);
  };
  ASSERT_NE(allowed(before), "");
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 300; ++i) exists("none");
    EXPECT_EQ(allowed(read_file("/proc/self/status")), allowed(before));
  }
}

TEST_F(ProcFs, DescriptorsHaveInfo) {
  write_file("f", "0123456789");
  Fd fd = open_fd("f", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(::lseek(fd.get(), 4, SEEK_SET), 4);
  std::string info = read_file("/proc/self/fdinfo/" + std::to_string(fd.get()));
  EXPECT_EQ(info.substr(0, 6), "pos:\t4");
}

TEST_F(ProcFs, ExeOfAReplacedProgram) {
  EXPECT_EQ(sys(SYS_unlink, "/proc/self/exe"), -EPERM);
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, "/proc/self/none", O_RDONLY), -ENOENT);
  EXPECT_EQ(sys(SYS_mkdir, "/proc/new", 0755), -ENOENT);
  EXPECT_EQ(sys(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDONLY) >= 0, true);
}

TEST_F(ProcFs, Writable) {
  write_file("/proc/self/comm", "new name");
  EXPECT_EQ(read_file("/proc/self/comm"), "new name\n");
  std::string score = read_file("/proc/self/oom_score_adj");
  write_file("/proc/self/oom_score_adj", "500");
  EXPECT_EQ(read_file("/proc/self/oom_score_adj"), "500\n");
}

}  // namespace
}  // namespace viewsh_test
