#include "job_control.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "viewsh/unique_fd.h"

namespace viewsh {

namespace {

/// The controlling terminal, if there is one.
UniqueFd open_terminal() { return UniqueFd(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)); }

/// Our parent is a shell with job control: it has put us into a process group of our own (or of the
/// pipeline), and waits for that to stop or to end. A script, make(1) or timeout(1) leaves us in
/// its own group and would never continue us.
bool started_as_job() {
  pid_t parent = getppid();
  return getpgid(parent) != getpgrp() && getsid(parent) == getsid(0);
}

bool should_stop(pid_t command, int signal, int terminal) {
  pid_t group = getpgid(command);
  // What the terminal stops it stops as a whole; SIGSTOP was meant for COMMAND alone.
  if (group == getpgrp() && signal != SIGSTOP) return true;
  if (group != getpgrp() && terminal >= 0 && tcgetpgrp(terminal) == group) return true;
  return started_as_job();
}

/// Has something become of COMMAND that is still to be waited for?
bool has_gone_on(pid_t command) {
  siginfo_t info{};
  int how = WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WALL;
  return waitid(P_PID, static_cast<id_t>(command), &info, how) == 0 && info.si_pid == command;
}

void continue_command(pid_t command) {
  pid_t group = getpgid(command);
  if (group < 0) return;  // killed meanwhile
  if (group != getpgrp()) {
    (void)kill(-group, SIGCONT);
    return;
  }
  // `fg` has continued the whole group, COMMAND too, if a moment later; `kill -CONT` us alone.
  constexpr timespec kMoment{0, 2'000'000};
  nanosleep(&kMoment, nullptr);
  if (!has_gone_on(command)) (void)kill(command, SIGCONT);
}

}  // namespace

void take_terminal_back(pid_t command) {
  UniqueFd terminal = open_terminal();
  if (command == getpgrp() || !terminal || tcgetpgrp(terminal.get()) != command) return;
  // Failing, it is somebody else's by now.
  (void)tcsetpgrp(terminal.get(), getpgrp());
}

void stop_with(pid_t command, int signal) {
  UniqueFd terminal = open_terminal();
  if (!should_stop(command, signal, terminal.get())) return;
  kill(getpid(), SIGSTOP);
  // `fg` gives the terminal to our group. A shell as COMMAND lives in another one, which natively
  // were the job's; SIGTTOU is ignored. Where it is in another session, it has its own terminal.
  pid_t group = getpgid(command);
  bool given = terminal && tcgetpgrp(terminal.get()) == getpgrp();
  if (given && group > 0 && group != getpgrp()) (void)tcsetpgrp(terminal.get(), group);
  continue_command(command);
}

bool in_foreground() { return isatty(STDERR_FILENO) == 1 && tcgetpgrp(STDERR_FILENO) == getpgrp(); }

}  // namespace viewsh
