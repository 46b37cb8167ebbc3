#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "view_spec.h"

namespace viewsh {

/// A whole number without sign.
std::optional<uint64_t> parse_number(std::string_view text);
/// "4096", "64K", "64M", "1G", "2T", "64MiB": bytes, powers of 1024.
std::optional<uint64_t> parse_size(std::string_view text);
/// The escapes of binfmt_misc: \xHH, \\ and plain ASCII. Empty optional: not such a text.
std::optional<std::string> parse_magic(std::string_view text);
/// The text that parse_magic() turns into these bytes.
std::string magic_text(std::string_view bytes);

/// "ro" and "size=64M" into a map. Returns what is wrong, or an empty string.
std::string parse_options(const std::vector<std::string>& items,
                          std::map<std::string, std::string>* options);
/// What is wrong with the options of a mount of this type, or empty. Types that are not known here
/// are left to their plugin.
std::string check_mount_options(std::string_view type,
                                const std::map<std::string, std::string>& options);
/// What is wrong with the name of a layer, or empty.
std::string check_layer_name(std::string_view name);
/// What is wrong with the name of an environment variable, or empty.
std::string check_env_name(std::string_view name);

/// A user or group id that is one: (uid_t)-1 is none. An empty text, or why not.
std::string parse_id(std::string_view text, uint32_t* out);

/// What processes of a view may do that others may not: "mount". An empty text, or why not.
std::string allow(const std::string& what, ViewSpec* spec);

}  // namespace viewsh
