#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

namespace bench {
namespace {

volatile sig_atomic_t g_interrupted = 0;

void on_signal(int) { g_interrupted = 1; }

/// In the child: never returns.
[[noreturn]] void become(const Argv& argv, const std::string& cwd, const std::string& out,
                         const std::string& err) {
  setpgid(0, 0);
  const int null = open("/dev/null", O_RDONLY);
  const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (null < 0 || out_fd < 0 || err_fd < 0 || chdir(cwd.c_str()) != 0) _exit(124);
  dup2(null, 0);
  dup2(out_fd, 1);
  dup2(err_fd, 2);
  for (const int fd : {null, out_fd, err_fd}) {
    if (fd > 2) close(fd);
  }
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  execvp(args[0], args.data());
  dprintf(2, "%s: %s\n", args[0], strerror(errno));
  _exit(127);
}

/// Waits up to `limit_s` seconds; false when the time is over or the user wants to stop.
bool wait_for_end(pid_t pid, int limit_s) {
  const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return true;  // no pidfd: the blocking waitpid that follows has to do
  const int64_t end = now_ns() + int64_t{limit_s} * 1'000'000'000;
  bool ended = false;
  while (!ended && !interrupted()) {
    const int64_t left_ms = (end - now_ns()) / 1'000'000;
    if (left_ms <= 0) break;
    pollfd poll_fd{pidfd, POLLIN, 0};
    ended = poll(&poll_fd, 1, static_cast<int>(left_ms)) > 0;
  }
  close(pidfd);
  return ended;
}

}  // namespace

int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void die(const std::string& text) {
  fprintf(stderr, "bench: %s\n", text.c_str());
  exit(1);
}

std::string Finished::why() const {
  if (timed_out) return "time limit";
  std::string line;
  std::istringstream lines(err);
  for (std::string next; std::getline(lines, next);) {
    if (!next.empty()) line = next;
  }
  std::string text = "exit " + std::to_string(status);
  if (!line.empty()) text += ": " + line.substr(0, 120);
  return text;
}

Finished run(const Argv& argv, const std::string& cwd, const std::string& logs, int limit_s) {
  const std::string out = logs + "/stdout";
  const std::string err = logs + "/stderr";
  Finished result;
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) die(std::string("fork: ") + strerror(errno));
  if (pid == 0) become(argv, cwd, out, err);
  if (!wait_for_end(pid, limit_s)) {
    result.timed_out = true;
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_file(out);
  result.err = read_file(err);
  return result;
}

void must_run(const Argv& argv, const std::string& cwd, const std::string& logs) {
  const Finished done = run(argv, cwd, logs, 600);
  if (done.ok() || interrupted()) return;
  std::string text = "preparing the inputs:";
  for (const std::string& arg : argv) text += " " + arg;
  die(text + ": " + done.why());
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (!file) die(path + ": can't be written");
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = getenv("PATH");
  std::istringstream dirs(path != nullptr ? path : "/usr/bin:/bin");
  for (std::string dir; std::getline(dirs, dir, ':');) {
    std::string candidate = dir + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

bool interrupted() { return g_interrupted != 0; }

void watch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
}

}  // namespace bench
