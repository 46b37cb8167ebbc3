#include "memory.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace bench {
namespace {

/// A number out of /proc/PID/status; -1 if the line isn't there.
long status_field(long pid, const std::string& name) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/status");
  const size_t at = text.find("\n" + name + ":");
  return at == std::string::npos ? -1 : strtol(text.c_str() + at + name.size() + 2, nullptr, 10);
}

/// The line "ready PID" from a pipe; 0 if it doesn't come within a minute.
long wait_until_ready(int fd) {
  std::string line;
  while (line.find('\n') == std::string::npos) {
    pollfd poll_fd{fd, POLLIN, 0};
    char buffer[64];
    if (poll(&poll_fd, 1, 60'000) <= 0) return 0;
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got <= 0) return 0;
    line.append(buffer, static_cast<size_t>(got));
  }
  return line.rfind("ready ", 0) == 0 ? strtol(line.c_str() + 6, nullptr, 10) : 0;
}

}  // namespace

Memory measure_memory(const Wrapper& wrapper, int tasks, const std::string& self,
                      const Scratch& scratch) {
  Memory memory{tasks, wrapper.name, 0, ""};
  int to_child[2];
  int from_child[2];
  if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) die("pipe failed");
  Argv argv = wrapper.prefix;
  argv.insert(argv.end(), {self, "--tasks", std::to_string(tasks)});
  const pid_t pid = fork();
  if (pid < 0) die("fork failed");
  if (pid == 0) {
    setpgid(0, 0);
    dup2(to_child[0], 0);
    dup2(from_child[1], 1);
    if (chdir(scratch.top.c_str()) != 0) _exit(124);
    std::vector<char*> args;
    for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
    args.push_back(nullptr);
    execvp(args[0], args.data());
    _exit(127);
  }
  close(to_child[0]);
  close(from_child[1]);
  const long inner = wait_until_ready(from_child[0]);
  const long tracer = inner > 0 ? status_field(inner, "TracerPid") : 0;
  memory.peak_kib = inner > 0 ? status_field(tracer > 0 ? tracer : pid, "VmHWM") : 0;
  if (memory.peak_kib <= 0) {
    memory.peak_kib = 0;
    memory.error = "the tasks did not start";
  }
  close(to_child[1]);
  close(from_child[0]);
  if (inner == 0) kill(-pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  return memory;
}

}  // namespace bench
