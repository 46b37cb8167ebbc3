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

constexpr size_t kLevels = 64;    ///< deeper ones are left to host_ops::remove_tree()
constexpr size_t kBatch = 16384;  ///< names that are removed together
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

/// Names of files in some directories, which are removed together.
class Batch {
 public:
  explicit Batch(int top) : top_(top) {}

  void add(const std::string& dir, std::vector<std::string> files) {
    dirs_.push_back(dir);
    for (std::string& name : files) files_.push_back({dirs_.size() - 1, std::move(name)});
    if (files_.size() >= kBatch) remove();
  }
  void remove() {
    std::vector<Here> workers(kMaxWorkers);
    spread(files_.size(), Load::kDisk, [&](size_t worker, size_t i) {
      const File& file = files_[i];
      Here& here = workers[worker];
      if (here.dir != file.dir) here = {file.dir, open_deep(top_, dirs_[file.dir])};
      if (here.fd) (void)unlinkat(here.fd.get(), file.name.c_str(), 0);
      return true;
    });
    files_.clear();
    dirs_.clear();
  }

 private:
  struct File {
    size_t dir;
    std::string name;
  };
  /// The directory that a worker is in.
  struct Here {
    size_t dir = SIZE_MAX;
    UniqueFd fd;
  };

  int top_;
  std::vector<std::string> dirs_;
  std::vector<File> files_;
};

/// Removes files, level by level. Whatever it can't remove stays, and says nothing: who comes after
/// it meets it again.
class Thinner {
 public:
  explicit Thinner(int top) : top_(top) {}

  void run() {
    std::vector<std::string> level{""};
    for (size_t depth = 0; depth < kLevels && !level.empty(); ++depth) {
      std::vector<std::string> below;
      Batch batch(top_);
      for (const std::string& path : level) {
        const UniqueFd fd = open_deep(top_, path);
        if (!fd) continue;
        Names names = names_in(fd.get());
        batch.add(path, std::move(names.files));
        for (const std::string& name : names.dirs) {
          std::string dir = host_ops::join(path, name);
          if (dir.size() < kRoom) below.push_back(std::move(dir));
        }
      }
      batch.remove();
      level = std::move(below);
    }
  }

 private:
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
