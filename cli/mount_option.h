#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine.h"

namespace viewsh {

/// The short forms of mounts and devices on the command line. Parts are separated by ':', a
/// backslash before one takes it literally; relative paths start at the working directory. The
/// error's text says what would be right, without the option.

/// --bind SRC:AT[:ro]
UserError parse_bind(const std::string& text, MountSpec* mount);
/// --hide PATH
UserError parse_hide(const std::string& text, MountSpec* mount);
/// --tmpfs AT[:size=64M,mode=1777]
UserError parse_tmpfs(const std::string& text, MountSpec* mount);
/// --cow PATH[:except=SUBPATH,...]; the places of these are the mount's.
UserError parse_cow(const std::string& text, MountSpec* mount);
/// --mincow PATH[:except=SUBPATH,...]
UserError parse_mincow(const std::string& text, MountSpec* mount);
/// Is it the option that leaves something of a copy-on-write mount real?
bool is_except(std::string_view item);
/// Adds what such an option says; `at` is the mount point. Empty, or what is wrong.
std::string take_except(const std::string& item, const Place& place, std::string_view at,
                        std::vector<ExceptSpec>* except);
/// Puts a layer on those that a mount has; the one below is only read then. Empty, or what is
/// wrong.
std::string add_layer(const std::string& name, MountSpec* mount);
/// --merge A:B[:C...]:AT[:rw]
UserError parse_merge(const std::string& text, MountSpec* mount);
/// --mount TYPE:SRC:AT[:OPT,...]
UserError parse_mount(const std::string& text, MountSpec* mount);
/// --disk SRC:/dev/NAME[:size=1G,ro]
UserError parse_disk(const std::string& text, DeviceRequest* device);

}  // namespace viewsh
