#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace viewsh {

/// Lexical helpers. An absolute canonical path is "/" or "/a/b"; a relative canonical one is "" or
/// "a/b". None of them looks at a file system.

/// dir + "/" + name for absolute or relative canonical paths; either may be empty.
std::string join_path(std::string_view dir, std::string_view name);
/// "/a/b" -> "/a", "/a" -> "/", "a/b" -> "a", "a" -> "".
std::string parent_path(std::string_view path);
/// The last component.
std::string_view base_name(std::string_view path);
/// Is `path` the same as `dir` or below it? Both absolute canonical.
bool is_at_or_below(std::string_view path, std::string_view dir);
/// The part of `path` below `dir` without leading slash; requires is_at_or_below.
std::string_view below_of(std::string_view path, std::string_view dir);
/// Removes "//", "." and resolves ".." by text; the result is absolute.
std::string lexically_normal(std::string_view absolute);
std::vector<std::string_view> components(std::string_view path);

}  // namespace viewsh
