#include "inside.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

extern char** environ;

namespace bench {
namespace {

constexpr char kFigure[] = "bench-ns: ";
constexpr char kFile[] = "a/b/c/file";  // three levels down: what a path of every day has

void print_figure(double ns) { printf("%s%.1f\n", kFigure, ns); }

/// Starts a program with standard output in `out_fd` (-1: as it is) and waits: its status.
int spawn_and_wait(const Argv& argv, int out_fd) {
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (out_fd >= 0) posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, args[0], &actions, nullptr, args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fprintf(stderr, "%s: %s\n", args[0], strerror(error));
    return 127;
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// One call of a micro workload; false if it failed.
using Call = std::function<bool()>;

struct Loop {
  const char* name;
  Call (*make)();  ///< opens what the call needs
};

Call make_getppid() {
  return [] { return syscall(SYS_getppid) >= 0; };
}

Call make_pread() {
  const int fd = open(kFile, O_RDONLY | O_CLOEXEC);
  return [fd] {
    char buffer[512];
    return pread(fd, buffer, sizeof buffer, 0) > 0;
  };
}

Call make_write() {
  const int fd = open("written", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return [fd] {
    static constexpr char kText[64] = {};
    return write(fd, kText, sizeof kText) == sizeof kText;
  };
}

Call make_stat() {
  return [] {
    struct stat st {};
    return stat(kFile, &st) == 0;
  };
}

Call make_open() {
  return [] {
    const int fd = open(kFile, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && close(fd) == 0;
  };
}

Call make_spawn() {
  return [] { return spawn_and_wait({"/bin/true"}, -1) == 0; };
}

/// All of a large file, which is in the cache from the second time on.
Call make_reread() {
  const int fd = open("large", O_RDONLY | O_CLOEXEC);
  return [fd] {
    static char buffer[1 << 16];
    off_t at = 0;
    for (ssize_t got = 0; (got = pread(fd, buffer, sizeof buffer, at)) > 0;) at += got;
    return at > 0;
  };
}

Call make_mmap() {
  return [] {
    const int fd = open("large", O_RDONLY | O_CLOEXEC);
    struct stat st {};
    if (fd < 0 || fstat(fd, &st) != 0) return false;
    const auto size = static_cast<size_t>(st.st_size);
    void* at = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) return false;
    volatile const char* bytes = static_cast<const char*>(at);
    unsigned sum = 0;
    for (size_t i = 0; i < size; i += 512) sum += static_cast<unsigned char>(bytes[i]);
    munmap(at, size);
    return sum > 0;
  };
}

constexpr Loop kLoops[] = {
    {"getppid", make_getppid}, {"pread", make_pread}, {"write", make_write},   {"stat", make_stat},
    {"open", make_open},       {"spawn", make_spawn}, {"reread", make_reread}, {"mmap", make_mmap},
};

/// There already, but when the loop is run by hand.
void make_file() {
  mkdir("a", 0755);
  mkdir("a/b", 0755);
  mkdir("a/b/c", 0755);
  if (access(kFile, R_OK) != 0) write_file(kFile, std::string(4096, 'x'));
}

const Loop* find_loop(const std::string& name) {
  const auto* found = std::find_if(std::begin(kLoops), std::end(kLoops),
                                   [&](const Loop& loop) { return name == loop.name; });
  return found == std::end(kLoops) ? nullptr : found;
}

}  // namespace

bool is_loop(const std::string& name) { return find_loop(name) != nullptr; }

int run_loop(const std::string& name, long count) {
  const Loop* loop = find_loop(name);
  if (loop == nullptr || count <= 0) die("--loop " + name + ": no such loop, or a bad count");
  if (name != "reread" && name != "mmap") make_file();
  const Call call = loop->make();
  for (long i = 0; i < std::max(1L, count / 20); ++i) {
    if (!call()) die(name + ": " + strerror(errno));
  }
  bool good = true;
  const int64_t start = now_ns();
  for (long i = 0; i < count; ++i) good &= call();
  const int64_t end = now_ns();
  if (!good) die(name + ": a call failed");
  print_figure(static_cast<double>(end - start) / static_cast<double>(count));
  return 0;
}

int run_inside(const std::string& dir, const std::string& out, int repeat, int worst_status,
               const Argv& command, bool again) {
  if (command.empty() || repeat <= 0) die("--inside: DIR OUT REPEAT WORST-STATUS -- COMMAND...");
  if (chdir(dir.c_str()) != 0) die(dir + ": " + strerror(errno));
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (out_fd < 0) die(out + ": " + strerror(errno));
  if (again) (void)spawn_and_wait(command, out_fd);
  const int64_t start = now_ns();
  for (int i = 0; i < repeat; ++i) {
    if (const int status = spawn_and_wait(command, out_fd); status > worst_status) return status;
  }
  const int64_t end = now_ns();
  print_figure(static_cast<double>(end - start) / repeat);
  return 0;
}

int run_tasks(int count) {
  for (int i = 1; i < count; ++i) {
    const pid_t pid = fork();
    if (pid < 0) die(std::string("fork: ") + strerror(errno));
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      struct stat st {};
      stat("/etc/passwd", &st);
      pause();
      _exit(0);
    }
  }
  struct stat st {};
  stat("/etc/passwd", &st);
  usleep(300'000);  // the children have made their call by then
  printf("ready %d\n", getpid());
  fflush(stdout);
  char byte = 0;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;  // the children go with this process
}

std::optional<double> parse_figure(const std::string& out) {
  const size_t at = out.rfind(kFigure);
  if (at == std::string::npos) return std::nullopt;
  return strtod(out.c_str() + at + sizeof kFigure - 1, nullptr);
}

}  // namespace bench
