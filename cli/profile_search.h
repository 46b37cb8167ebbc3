#pragma once

#include <string>
#include <vector>

#include "engine.h"

namespace viewsh {

/// A folder in which profiles are looked for by name.
struct ProfileFolder {
  std::string path;
  std::string origin;  ///< "user", "path" (of $VIEWSH_PROFILE_PATH) or "shipped"
};

/// The user's, those of $VIEWSH_PROFILE_PATH, the shipped ones: the first that has a name wins.
std::vector<ProfileFolder> profile_folders();

/// The file of a profile. A name with a slash is a file, relative to `folder`; another one is
/// looked for in `folder` and then in profile_folders(), with and without ".yaml". The error names
/// where it was looked for.
UserError find_profile(const std::string& name, const std::string& folder, std::string* file);

/// A profile that can be named.
struct ListedProfile {
  std::string name;
  std::string file;
  std::string origin;
};
/// All of profile_folders() by name; one that is covered by an earlier folder is left out.
std::vector<ListedProfile> list_profiles();

}  // namespace viewsh
