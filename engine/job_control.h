#pragma once

#include <sys/types.h>

namespace viewsh {

/// COMMAND was stopped by `signal`. Where somebody waits for viewsh to stop, it stops as well, as
/// sudo(8) and su(1) do: the shell that started it takes the terminal back, and its `fg` or `bg`
/// continues both. Returns when viewsh goes on, or at once where nobody waits; COMMAND then stays
/// stopped until somebody continues it.
void stop_with(pid_t command, int signal);

/// COMMAND has ended. A shell that was killed leaves the terminal to its own process group; it
/// comes back to ours, where there are questions to ask and others to wait for.
void take_terminal_back(pid_t command);

/// Is standard error a terminal in whose foreground this process is?
bool in_foreground();

}  // namespace viewsh
