#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine.h"
#include "viewsh/layer.h"

namespace viewsh {

/// Writes the changes to `fd` as git(1) writes a patch, so that `git apply` and patch(1)
/// take it: unified text diffs of diff(1), renames, modes, symbolic links. Of binary files there is
/// a line that they differ, which those go over, of devices, sockets and fifos nothing.
/// The content of a deleted directory is part of it.
UserError write_patch(const std::vector<Change>& changes, int fd, bool colour);

/// How much of a file changed.
struct ChangeSize {
  uint64_t added = 0;  ///< lines
  uint64_t removed = 0;
  bool binary = false;
  uint64_t old_bytes = 0;
  uint64_t new_bytes = 0;
};
UserError measure_change(const Change& change, ChangeSize* size);

/// A name as git writes it in a patch: in quotes with escapes where it has to be.
std::string patch_name(const std::string& prefix, const std::string& path);

}  // namespace viewsh
