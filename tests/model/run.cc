#include "run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "op.h"

namespace viewsh_model {

std::string Finished::text() const {
  if (timed_out) return "not done in time";
  if (WIFSIGNALED(status)) return "ended by signal " + std::to_string(WTERMSIG(status));
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

int start_program(const std::vector<std::string>& argv, const std::string& out,
                  const std::string& err) {
  const pid_t pid = fork();
  if (pid < 0) die(std::string("fork: ") + std::strerror(errno));
  if (pid > 0) return pid;
  const auto to = [](const std::string& path, int as) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, as) < 0) _exit(120);
    if (fd != as) close(fd);
  };
  to(out, 1);
  to(err, 2);
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0) _exit(120);
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  execv(args[0], args.data());
  _exit(121);
}

Finished wait_program(int pid, int seconds) {
  Finished done;
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  pollfd poll_for{fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = poll(&poll_for, 1, seconds * 1000);
  } while (ready < 0 && errno == EINTR);
  if (fd >= 0) close(fd);
  if (ready == 0) {
    done.timed_out = true;
    kill(pid, SIGKILL);
  }
  while (waitpid(pid, &done.status, 0) < 0 && errno == EINTR) {
  }
  return done;
}

Finished run_program(const std::vector<std::string>& argv, const std::string& out,
                     const std::string& err, int seconds) {
  return wait_program(start_program(argv, out, err), seconds);
}

std::string own_path() {
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
  if (n < 0) die("/proc/self/exe can't be read");
  return {path, static_cast<size_t>(n)};
}

std::string viewsh_path() {
  const char* path = getenv("VIEWSH");
  if (path != nullptr && *path != '\0') return path;
  const std::string own = own_path();
  return own.substr(0, own.rfind('/')) + "/viewsh";
}

}  // namespace viewsh_model
