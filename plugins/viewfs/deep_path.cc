// Paths that are longer than the PATH_MAX of one system call: they are gone along in pieces.
#include "deep_path.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <algorithm>

#include "cow_host.h"
#include "cow_index.h"

namespace viewsh::viewfs {
namespace {

UniqueFd open_piece(int at, const std::string& piece) {
  struct open_how how {};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, at, piece.c_str(), &how, sizeof how)));
}

}  // namespace

UniqueFd open_deep(int root, std::string_view path) {
  UniqueFd fd;
  do {
    std::string_view piece = path;
    if (piece.size() >= PATH_MAX) {
      const size_t slash = piece.substr(0, PATH_MAX - 1).rfind('/');
      if (slash == std::string_view::npos) {
        errno = ENAMETOOLONG;
        return {};
      }
      piece = piece.substr(0, slash);
    }
    path.remove_prefix(std::min(path.size(), piece.size() + 1));
    fd = open_piece(fd ? fd.get() : root, piece.empty() ? "." : std::string(piece));
  } while (fd && !path.empty());
  return fd;
}

Result<Attr> lstat_deep(int root, std::string_view path) {
  if (path.size() < PATH_MAX) return lstat_at(root, std::string(path));
  const UniqueFd dir = open_deep(root, parent_of(path));
  if (!dir) return Errno::last();
  return lstat_at(dir.get(), std::string(name_of(path)));
}

Result<std::vector<DeepEntry>> list_sorted(int dir_fd) {
  UniqueFd copy(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* dir = copy ? fdopendir(copy.get()) : nullptr;
  if (dir == nullptr) return Errno::last();
  (void)copy.release();  // closedir() closes it
  std::vector<DeepEntry> out;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      out.push_back({std::string(name), entry->d_ino, static_cast<NodeType>(entry->d_type)});
    }
    errno = 0;
  }
  const Errno error = Errno::last();
  closedir(dir);
  if (!(error == 0)) return error;
  std::sort(out.begin(), out.end(),
            [](const DeepEntry& a, const DeepEntry& b) { return a.name < b.name; });
  return out;
}

}  // namespace viewsh::viewfs
