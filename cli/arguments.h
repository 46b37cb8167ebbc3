#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine.h"

namespace viewsh {

/// What the splitter has to know of an option.
enum class OptionKind { kUnknown, kFlag, kValue, kOptionalValue };

/// A command line taken apart.
struct Arguments {
  std::vector<std::string> options;  ///< "--name", then its value as a word of its own
  std::vector<std::string> rest;     ///< PATHs, or COMMAND and all that belongs to it
};

/// Takes `words` apart. With `command` the first word that is no option begins COMMAND, to which
/// all that follows belongs; else options and other words may be mixed. "--" ends the options.
/// `kind_of` is asked for "--name" and "-n"; `known` are the names for "did you mean".
UserError split_arguments(const std::vector<std::string>& words, bool command,
                          const std::function<OptionKind(const std::string&)>& kind_of,
                          const std::vector<std::string>& known, Arguments* out);

}  // namespace viewsh
