#pragma once

#include <string>

#include "viewsh/result.h"

namespace viewsh {

/// The host path of an open directory, of any length: what readlink(2) of /proc/PID/fd/N says up to
/// PATH_MAX, found out upwards, name by name, beyond that. `link` leads to the directory, as
/// /proc/PID/fd/N does. Errors: those of readlink; ENOTDIR; EACCES where a directory on the way
/// can't be read; ENOENT where one has no name any more.
Result<std::string> path_of_directory(const std::string& link);

}  // namespace viewsh
