#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "syscalls/call.h"

namespace viewsh {

class CloseListener;

/// Some file system of the view hears of closes now.
bool hears_close(const Session& session);

/// The task is about to open what such a file system has: it and what it starts have to tell of
/// their closes from now on. A filter of the process does that, so others are as quick as before.
/// Nullopt: that is so already; else the call that does it, after which the program's own is made
/// again.
std::optional<Outcome> trace_closes(Call& call);

/// The file systems that do.
std::vector<std::shared_ptr<CloseListener>> close_listeners(const Session& session);

/// What execve(2) is going to close: host paths.
std::vector<std::string> closed_by_exec(Call& call);
/// It has. Who waited for vfork(2) goes on already, and may be the one who is asked.
void tell_exec(const Session& session, const std::vector<std::string>& closed);

}  // namespace viewsh
