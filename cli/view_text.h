#pragma once

#include <string>

#include "cli/text.h"
#include "engine.h"

namespace viewsh {

/// The view as a profile would say it, without `extends` and with everything expanded.
Json view_json(const ViewSpec& spec);
/// A profile that makes the same view.
std::string view_yaml(const ViewSpec& spec);
/// A text as a YAML scalar: as it is where that is safe, else in quotes.
std::string yaml_scalar(const std::string& text);
/// For people.
std::string view_table(const ViewSpec& spec);

}  // namespace viewsh
