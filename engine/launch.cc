#include "launch.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/check.h"
#include "tracee/event.h"
#include "viewsh/unique_fd.h"

extern char** environ;

namespace viewsh {

namespace {

/// And SIGCHLD: ignored, it would keep the kernel from telling how a child ended.
constexpr int kTerminalSignals[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD};

struct sigaction saved_actions[std::size(kTerminalSignals)];
bool actions_saved = false;

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// execvp(3) without its last resort, which takes for a shell script whatever isn't a program: that
/// is done for texts only.
int run(const std::string& name, char** argv) {
  if (name.find('/') != std::string::npos) {
    execv(name.c_str(), argv);
    if (errno != ENOEXEC) return errno;
    char head[4] = {};
    int fd = open(name.c_str(), O_RDONLY | O_CLOEXEC);
    bool binary =
        fd < 0 || read(fd, head, sizeof head) < 0 || memchr(head, 0x7f, sizeof head) != nullptr;
    if (binary) return ENOEXEC;
  }
  execvp(argv[0], argv);
  return errno;
}

[[noreturn]] void child(const LaunchPlan& plan, int go_fd) {
  char byte = 0;
  if (!plan.filter.empty() && read(go_fd, &byte, 1) != 1) _exit(125);
  if (actions_saved) {
    for (size_t i = 0; i < std::size(kTerminalSignals); ++i) {
      sigaction(kTerminalSignals[i], &saved_actions[i], nullptr);
    }
  }
  for (int signal : {SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
  umask(plan.umask);
  std::vector<char*> argv = pointers(plan.command);
  std::vector<char*> envp = pointers(plan.environment);
  if (!plan.filter.empty()) {
    if (chdir("/") < 0) _exit(125);
    Result<void> installed = install_filter(plan.filter);
    if (!installed.ok()) {
      complain("seccomp filter: " + installed.error().message());
      _exit(125);
    }
  }
  if (!plan.cwd.empty() && chdir(plan.cwd.c_str()) < 0) {
    complain("cwd " + plan.cwd + ": " + strerror(errno));
    _exit(125);
  }
  environ = envp.data();
  int error = run(plan.command[0], argv.data());
  complain(plan.command[0] + ": " +
           (error == ENOENT && plan.command[0].find('/') == std::string::npos ? "command not found"
                                                                              : strerror(error)));
  _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

}  // namespace

void ignore_terminal_signals() {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  for (size_t i = 0; i < std::size(kTerminalSignals); ++i) {
    ignore.sa_handler = kTerminalSignals[i] == SIGCHLD ? SIG_DFL : SIG_IGN;
    sigaction(kTerminalSignals[i], &ignore, &saved_actions[i]);
  }
  actions_saved = true;
}

void take_terminal_signals(void (*handler)(int)) {
  for (size_t i = 0; i < std::size(kTerminalSignals); ++i) {
    int signal = kTerminalSignals[i];
    if (signal == SIGCHLD || saved_actions[i].sa_handler == SIG_IGN) continue;
    struct sigaction action = saved_actions[i];
    if (signal == SIGINT) action.sa_handler = handler;
    sigaction(signal, &action, nullptr);
  }
}

std::vector<std::string> environment_of(const EnvSpec& env) {
  std::vector<std::string> out;
  auto name_of = [](const std::string& entry) { return entry.substr(0, entry.find('=')); };
  if (!env.clear) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      std::string name = name_of(*entry);
      bool dropped = env.set.contains(name);
      for (const std::string& gone : env.unset) dropped = dropped || gone == name;
      if (!dropped) out.emplace_back(*entry);
    }
  }
  for (const auto& [name, value] : env.set) out.push_back(name + "=" + value);
  return out;
}

pid_t launch(const LaunchPlan& plan, UserError* error) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    error->text = std::string("pipe: ") + strerror(errno);
    return -1;
  }
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  pid_t pid = fork();
  if (pid < 0) {
    error->text = std::string("fork: ") + strerror(errno);
    return -1;
  }
  if (pid == 0) {
    write_end.reset();  // or it would wait for ever where viewsh is killed before it says go
    child(plan, read_end.get());
  }
  if (plan.filter.empty()) return pid;
  if (!seize(pid)) {
    error->text = std::string("ptrace: ") + strerror(errno) +
                  (errno == EPERM ? " (see `viewsh doctor`)" : "");
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return -1;
  }
  char go = 1;
  if (write(write_end.get(), &go, 1) != 1) error->text = std::string("pipe: ") + strerror(errno);
  return pid;
}

}  // namespace viewsh
