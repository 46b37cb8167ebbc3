#pragma once

#include <string>

#include "viewsh/result.h"

namespace viewsh::viewfs {

/// host_ops::remove_tree() of what may be a whole layer: where there is much in it, several threads
/// remove the files. Errors are those of host_ops::remove_tree(), which has the last word.
Result<void> remove_large_tree(int dir, const std::string& path);

}  // namespace viewsh::viewfs
