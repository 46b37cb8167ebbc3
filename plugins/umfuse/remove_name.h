#pragma once

#include <string>

namespace viewsh {

/// Takes a name away from the host, with all that is below it where it is a directory. For small
/// ones: what stands for a directory that is watched. False: it stays, errno says why.
bool remove_name(const std::string& path);

}  // namespace viewsh
