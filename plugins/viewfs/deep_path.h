#pragma once

#include <string>
#include <string_view>

#include "viewsh/filesystem.h"
#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh::viewfs {

/// A directory below `root` by a path of any length; no link is followed and nothing above `root`
/// reached. "": `root` itself. openat2(2).
UniqueFd open_deep(int root, std::string_view path);
/// lstat of a path of any length below `root`.
Result<Attr> lstat_deep(int root, std::string_view path);
/// The names in a directory in byte order, without "." and "..".
struct DeepEntry {
  std::string name;
  uint64_t ino = 0;
  NodeType type = NodeType::kUnknown;
};
Result<std::vector<DeepEntry>> list_sorted(int dir_fd);

}  // namespace viewsh::viewfs
