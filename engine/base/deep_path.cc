#include "base/deep_path.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <climits>
#include <string_view>

#include "viewsh/unique_fd.h"

namespace viewsh {

namespace {

Result<std::string> read_link(const std::string& link) {
  char text[PATH_MAX + 32];
  const ssize_t n = readlink(link.c_str(), text, sizeof text);
  if (n < 0) return Errno::last();
  return std::string(text, static_cast<size_t>(n));
}

/// The name that `parent` has for the directory `st`. ENOENT.
Result<std::string> name_in(int parent, const struct stat& st) {
  const int copy = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = copy < 0 ? nullptr : fdopendir(copy);
  if (dir == nullptr) return Errno::last();
  Result<std::string> found = Errno(ENOENT);
  while (const dirent* entry = readdir(dir)) {
    struct stat same {};
    // The number of a mount point's entry is that of the directory below it: those are looked at
    // too.
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (fstatat(parent, entry->d_name, &same, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (same.st_dev != st.st_dev || same.st_ino != st.st_ino) continue;
    found = std::string(name);
    break;
  }
  closedir(dir);
  return found;
}

}  // namespace

Result<std::string> path_of_directory(const std::string& link) {
  Result<std::string> text = read_link(link);
  if (text.ok() || !(text.error() == ENAMETOOLONG)) return text;
  UniqueFd at(open(link.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string below;
  while (at) {
    struct stat st {};
    UniqueFd up(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!up || fstat(at.get(), &st) < 0) break;
    TRY_ASSIGN(const std::string name, name_in(up.get(), st));
    below.insert(0, "/" + name);
    at = std::move(up);
    text = read_link("/proc/self/fd/" + std::to_string(at.get()));
    if (text.ok()) return *text + below;
    if (!(text.error() == ENAMETOOLONG)) return text;
  }
  return Errno::last();
}

}  // namespace viewsh
