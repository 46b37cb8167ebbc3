#pragma once

#include <memory>
#include <string>

#include "viewsh/filesystem.h"

namespace viewsh {

/// The tree below `prefix` of another file system, under its own root.
std::shared_ptr<FileSystem> make_subtree(std::shared_ptr<FileSystem> fs, std::string prefix);

}  // namespace viewsh
