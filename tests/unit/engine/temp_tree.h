#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "vfs/host_fs.h"
#include "vfs/view.h"

namespace viewsh::testing {

/// A directory of the host that goes with the test. Names are relative to it.
class TempTree {
 public:
  TempTree() {
    std::error_code error;
    std::string made =
        (std::filesystem::temp_directory_path(error) / "viewsh-unit.XXXXXX").string();
    EXPECT_NE(mkdtemp(made.data()), nullptr);
    char real[PATH_MAX];
    EXPECT_NE(realpath(made.c_str(), real), nullptr);
    root_ = real;
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;
  ~TempTree() {
    std::error_code error;
    std::filesystem::remove_all(root_, error);
  }

  /// Absolute canonical host path.
  const std::string& root() const { return root_; }
  std::string host(const std::string& name) const {
    return name.empty() ? root_ : root_ + "/" + name;
  }
  void dir(const std::string& name) const { std::filesystem::create_directories(host(name)); }
  void file(const std::string& name, const std::string& text = "x") const {
    std::filesystem::create_directories(std::filesystem::path(host(name)).parent_path());
    std::ofstream(host(name)) << text;
  }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories(std::filesystem::path(host(name)).parent_path());
    EXPECT_EQ(symlink(target.c_str(), host(name).c_str()), 0) << name;
  }

 private:
  std::string root_;
};

inline std::shared_ptr<const Mount> mount_of(std::string at, std::shared_ptr<FileSystem> fs) {
  auto mount = std::make_shared<Mount>();
  mount->at = std::move(at);
  mount->type = fs->type();
  mount->fs = std::move(fs);
  return mount;
}

inline std::shared_ptr<HostFs> host_fs(const std::string& root,
                                       std::shared_ptr<PathCache> cache = {}) {
  return std::make_shared<HostFs>(root, cache ? std::move(cache) : std::make_shared<PathCache>());
}

/// Do two paths (or a descriptor and a path) name the same object? Links are not followed.
inline bool same_object(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace viewsh::testing
