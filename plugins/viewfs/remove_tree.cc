// Removes the files of large trees in several threads. Where a file system tells the disk of freed
// blocks at once (mount option discard), unlink(2) waits for that, and does so after it has let go
// of the directory: calls for names of one directory wait side by side, too.
#include "remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <vector>

#include "deep_path.h"
#include "host_ops.h"
#include "viewsh/long_path.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

constexpr size_t kLevels = 64;   ///< deeper ones are left to host_ops::remove_tree()
constexpr size_t kFewDirs = 64;  ///< up to here their names are spread, not they
constexpr size_t kRoom = PATH_MAX - 1;

/// What is in a directory.
struct Names {
  std::vector<std::string> files;
  std::vector<std::string> dirs;
};

Names names_in(int dir_fd) {
  Names out;
  UniqueFd copy(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* dir = copy ? fdopendir(copy.get()) : nullptr;
  if (dir == nullptr) return out;
  (void)copy.release();  // closedir() closes it
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    // Where the type isn't known, unlink(2) says so of a directory; that is found again later.
    (entry->d_type == DT_DIR ? out.dirs : out.files).emplace_back(name);
  }
  closedir(dir);
  return out;
}

/// Removes files, level by level. Whatever it can't remove stays, and says nothing: who comes after
/// it meets it again.
class Thinner {
 public:
  explicit Thinner(int top) : top_(top) {}

  void run() {
    std::vector<std::string> level{""};
    for (size_t depth = 0; depth < kLevels && !level.empty(); ++depth) {
      std::vector<std::vector<std::string>> below(level.size());
      if (level.size() <= kFewDirs) {
        for (size_t i = 0; i < level.size(); ++i) below[i] = directory(level[i], true);
      } else {
        spread(level.size(), Load::kDisk, [&](size_t, size_t i) {
          below[i] = directory(level[i], false);
          return true;
        });
      }
      level.clear();
      for (auto& dirs : below) {
        for (std::string& path : dirs) {
          if (path.size() < kRoom) level.push_back(std::move(path));
        }
      }
    }
  }

 private:
  /// The directories in it.
  std::vector<std::string> directory(const std::string& path, bool threads) const {
    const UniqueFd fd = open_deep(top_, path);
    if (!fd) return {};
    Names names = names_in(fd.get());
    const auto remove = [&](size_t, size_t i) {
      (void)unlinkat(fd.get(), names.files[i].c_str(), 0);
      return true;
    };
    if (threads) {
      spread(names.files.size(), Load::kDisk, remove);
    } else {
      for (size_t i = 0; i < names.files.size(); ++i) remove(0, i);
    }
    for (std::string& name : names.dirs) name = host_ops::join(path, name);
    return std::move(names.dirs);
  }

  int top_;
};

}  // namespace

Result<void> remove_large_tree(int dir, const std::string& path) {
  const PathAt at(dir, path);
  const UniqueFd top(openat(at.dir(), at.name(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (top) Thinner(top.get()).run();
  return host_ops::remove_tree(dir, path);
}

}  // namespace viewsh::viewfs
