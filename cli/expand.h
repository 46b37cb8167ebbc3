#pragma once

#include <string>
#include <string_view>

#include "engine.h"

namespace viewsh {

/// $HOME, or where it isn't set the home directory of the user database.
std::string home_directory();
/// The working directory, "/" where it has no name.
std::string working_directory();

/// Expands $NAME, ${NAME}, ${NAME:-default} (also nested) and $$ for a dollar sign. A '$' before
/// anything else stands for itself. $PWD is the working directory whatever the environment says.
/// Error text: a variable that is not set and has no default, a brace that is not closed.
UserError expand_variables(std::string_view text, std::string* out);
/// "~" and "~/x" into the home directory; "~name" stays as it is.
std::string expand_tilde(std::string_view path);
/// An absolute path without "//", "." and trailing slash: a relative one starts at `folder`.
/// ".." is taken out by text.
std::string absolute_view_path(std::string_view path, std::string_view folder);
/// As absolute_view_path, but ".." after a symbolic link leads where the kernel would go.
std::string absolute_host_path(std::string_view path, std::string_view folder);

}  // namespace viewsh
