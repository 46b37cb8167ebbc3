#pragma once

#include <optional>

#include "syscalls/call.h"

namespace viewsh {

/// Some file system of the view hears of closes now.
bool hears_close(const Session& session);

/// The task is about to open what such a file system has: it and what it starts have to tell of
/// their closes from now on. A filter of the process does that, so others are as quick as before.
/// Nullopt: that is so already; else the call that does it, after which the program's own is made
/// again.
std::optional<Outcome> trace_closes(Call& call);

/// Descriptors were closed without a word: a process ended, or became another program.
void tell_closed(const Session& session);

}  // namespace viewsh
