#pragma once

#include <set>
#include <string>
#include <vector>

#include "cli/draft.h"
#include "cli/profile_node.h"
#include "cli/profile_search.h"

namespace viewsh {

/// Applies profiles to a draft: what a profile extends comes first (each file once, however many
/// extend it), lists are appended, maps and single values override what is there.
class ProfileLoader {
 public:
  explicit ProfileLoader(ViewDraft* draft) : draft_(draft) {}

  /// A NAME or FILE as given to --profile. Error texts start with "FILE:LINE:COL: " or say where a
  /// profile was looked for.
  UserError load(const std::string& name, const std::string& folder);

 private:
  friend class ProfileReader;
  UserError load_file(const std::string& file);
  /// Is the file being read, so that extending it would never end?
  bool is_open(const std::string& file) const;

  ViewDraft* draft_;
  std::vector<std::string> open_;  ///< files being read, the outermost first
  std::set<std::string> done_;
};

}  // namespace viewsh
