#include "cli/profile_search.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <map>
#include <memory>

#include "base/path.h"
#include "cli/expand.h"
#include "cli/text.h"

namespace viewsh {
namespace {

constexpr std::string_view kSuffix = ".yaml";

bool has_suffix(std::string_view name) {
  return name.size() > kSuffix.size() && name.substr(name.size() - kSuffix.size()) == kSuffix;
}

std::string user_folder() {
  const char* config = getenv("XDG_CONFIG_HOME");
  bool given = config != nullptr && config[0] == '/';
  return (given ? std::string(config) : home_directory() + "/.config") + "/viewsh/profiles";
}

/// Beside the program, so that a build tree and an installation that was moved find theirs.
std::string shipped_folder() {
  std::array<char, PATH_MAX> self{};
  ssize_t length = readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (length > 0) {
    std::string program(self.data(), static_cast<size_t>(length));
    std::string folder = parent_path(parent_path(program)) + "/share/viewsh/profiles";
    if (access(folder.c_str(), R_OK) == 0) return folder;
  }
  return VIEWSH_PROFILE_DIR;
}

bool can_be_profile(const std::string& file) {
  struct stat found {};
  return stat(file.c_str(), &found) == 0 && !S_ISDIR(found.st_mode);
}

/// "./NAME" rather than "/the/whole/way/NAME" for what lies in the working directory.
std::string display_path(const std::string& folder, const std::string& name) {
  return folder == working_directory() ? "./" + name : folder + "/" + name;
}

UserError find_file(const std::string& name, const std::string& folder, std::string* file) {
  std::string path = expand_tilde(name);
  if (path[0] != '/' && folder != working_directory()) path = folder + "/" + path;
  for (const std::string& candidate : {path, path + std::string(kSuffix)}) {
    if (!can_be_profile(candidate)) continue;
    *file = candidate;
    return {};
  }
  struct stat found {};
  bool directory = stat(path.c_str(), &found) == 0;
  return {printable(path) + ": " + (directory ? "a directory, not a profile" : "no such profile")};
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const ListedProfile& profile : list_profiles()) names.push_back(profile.name);
  return names;
}

}  // namespace

std::vector<ProfileFolder> profile_folders() {
  std::vector<ProfileFolder> folders = {{user_folder(), "user"}};
  const char* extra = getenv("VIEWSH_PROFILE_PATH");
  for (const std::string& path : split_escaped(extra != nullptr ? extra : "", ':')) {
    if (!path.empty()) folders.push_back({absolute_view_path(path, working_directory()), "path"});
  }
  folders.push_back({shipped_folder(), "shipped"});
  return folders;
}

UserError find_profile(const std::string& name, const std::string& folder, std::string* file) {
  if (name.empty()) return {"a profile needs a name"};
  if (name.find('/') != std::string::npos) return find_file(name, folder, file);
  std::vector<std::string> looked;
  std::vector<std::string> folders = {folder};
  for (const ProfileFolder& known : profile_folders()) folders.push_back(known.path);
  for (const std::string& where : folders) {
    for (const std::string& leaf : {name, name + std::string(kSuffix)}) {
      std::string candidate = display_path(where, leaf);
      if (!can_be_profile(candidate)) continue;
      *file = candidate;
      return {};
    }
    looked.push_back(where == working_directory() ? "./" : where);
  }
  return {printable(name) + ": no such profile in " + join(looked, ", ") +
          did_you_mean(name, all_names())};
}

std::vector<ListedProfile> list_profiles() {
  std::map<std::string, ListedProfile> found;
  for (const ProfileFolder& folder : profile_folders()) {
    std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(folder.path.c_str()), closedir);
    if (!dir) continue;
    while (const dirent* entry = readdir(dir.get())) {
      std::string leaf = entry->d_name;
      if (leaf[0] == '.' || !has_suffix(leaf)) continue;
      std::string name = leaf.substr(0, leaf.size() - kSuffix.size());
      found.try_emplace(name, ListedProfile{name, folder.path + "/" + leaf, folder.origin});
    }
  }
  std::vector<ListedProfile> list;
  for (auto& [name, profile] : found) list.push_back(std::move(profile));
  return list;
}

}  // namespace viewsh
