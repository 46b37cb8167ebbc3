#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine.h"
#include "tracee/filter.h"

namespace viewsh {

/// The environment of COMMAND: ours with `env` applied, as NAME=VALUE.
std::vector<std::string> environment_of(const EnvSpec& env);

/// What to start: everything is prepared before the fork.
struct LaunchPlan {
  std::vector<std::string> command;
  std::vector<std::string> environment;
  std::string cwd;                  ///< view path; empty: stay
  std::vector<sock_filter> filter;  ///< empty: no filter, no tracing
  mode_t umask = 022;
};

/// Forks the command's first process. With a filter: it is a tracee when this returns, and its
/// first trapped call is still to come. On failure -1, `error` filled. The child says on standard
/// error what is wrong with COMMAND, and ends with 126 or 127; with 125 where the working directory
/// is not in the view.
pid_t launch(const LaunchPlan& plan, UserError* error);

/// Signals that a terminal sends to all: the engine leaves them to COMMAND. Keeps what was before
/// for the child.
void ignore_terminal_signals();
/// COMMAND is gone: what the terminal sends is for the engine again. SIGINT goes to `handler`, the
/// others do what they did before.
void take_terminal_signals(void (*handler)(int));

}  // namespace viewsh
