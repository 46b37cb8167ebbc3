#pragma once

#include <string>
#include <vector>

#include "commit_record.h"
#include "viewsh/result.h"

namespace viewsh::viewfs {

/// What leaves a layer together with its records; see docs/layer-format.md, `restored/`.
struct Leaving {
  struct Directory {
    std::string path;
    Attributes attributes;
  };
  std::vector<std::string> upper;  ///< paths in upper/, with all that is below
  std::vector<std::string> links;  ///< names in links/
  std::vector<Directory> dirs;     ///< directories of upper/ and what they are like in the end
};

/// Writes it down in the directory `at`, for good. ENOSPC, EIO...
Result<void> write_leaving(int at, const Leaving& leaving);
/// Removes from a layer what is written down in `at`, if anything is. Can be done twice. EINVAL: it
/// can't be read.
Result<void> remove_listed(int layer_fd, int at);

}  // namespace viewsh::viewfs
