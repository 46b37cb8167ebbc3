#pragma once

#include <string>
#include <string_view>

#include "viewsh/filesystem.h"

namespace viewsh {

/// resolve() in a host directory that has no mounts in it: one openat2(2) for the whole run where
/// no link is met, else component by component up to the first link.
/// `root_fd` is open on the directory `root`.
Result<Found> walk_host_directory(int root_fd, const std::string& root, const std::string& base,
                                  std::string_view rest, ResolveFlags flags);

}  // namespace viewsh
