#pragma once

#include <sys/stat.h>

#include "viewsh/filesystem.h"

namespace viewsh {

/// struct stat of stat(2) from the interface's attribute record.
struct stat to_stat(const Attr& attr);

/// access(2)'s question put to attributes: owner, group, others, and what root may. EACCES.
Result<void> check_access(const Attr& attr, int mode, const Caller& caller);
/// The same of a node, whose file system may know of ACLs. `attr`: the node's. EACCES, EIO.
Result<void> check_access(FileSystem& fs, const std::string& path, const Attr& attr, int mode,
                          const Caller& caller);

}  // namespace viewsh
