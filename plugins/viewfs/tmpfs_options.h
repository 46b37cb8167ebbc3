#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "viewsh/identity.h"

namespace viewsh {

/// What `size=`, `mode=` and the others say. tmpfs(5).
struct TmpfsOptions {
  uint64_t size = 0;    ///< bytes, whole pages; 0: no limit
  uint64_t inodes = 0;  ///< 0: no limit
  mode_t mode = 01777;
  bool read_only = false;
};

/// A number of bytes with k, m, g, t (powers of 1024) or % of `ram` behind it.
std::optional<uint64_t> parse_size(std::string_view text, uint64_t ram);

/// An empty string, or why the options are refused: "size=12x: not a size". `as`: who the user is
/// in the view, if somebody else than outside.
std::string parse_tmpfs_options(const std::map<std::string, std::string>& options,
                                TmpfsOptions* out, const Credentials* as = nullptr);

/// The bytes of memory of this machine.
uint64_t memory_size();

}  // namespace viewsh
