#pragma once

#include <string>
#include <vector>

#include "engine.h"

namespace viewsh {

/// A value of a profile, as it was written. A plain tree, free of the YAML library.
struct ProfileNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  bool quoted = false;             ///< kScalar: written in quotes, so no number and no boolean
  std::string text;                ///< kScalar
  std::vector<ProfileNode> keys;   ///< kMap: one for each of items
  std::vector<ProfileNode> items;  ///< kList and kMap
  int line = 1;                    ///< counted from 1
  int column = 1;
};

/// "a text", "a list"...
std::string kind_name(const ProfileNode& node);

/// Reads YAML: one document. The error's text is "FILE:LINE:COL: why". Aliases stand for a copy of
/// what they name.
UserError parse_profile_text(const std::string& text, const std::string& file, ProfileNode* root);

}  // namespace viewsh
