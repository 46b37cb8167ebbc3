#pragma once

#include <optional>
#include <string>

#include "viewsh/filesystem.h"

namespace viewsh::viewfs {

/// Both are regular files or links of the same content. What can't be read isn't known to be.
bool same_content(const std::string& a, const std::string& b);
/// The same of one regular file by its names in two open directories, `size` bytes each. `locked`:
/// `a` is the layer's, and nobody else uses that: it is made readable where its mode forbids it.
bool same_content_at(int dir_a, int dir_b, const std::string& name, uint64_t size, bool locked);
/// The same of two open files. Holes that both have aren't read.
bool same_data(int a, int b, uint64_t size);

}  // namespace viewsh::viewfs
