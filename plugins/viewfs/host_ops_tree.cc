#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <set>

#include "host_ops.h"

namespace viewsh::host_ops {
namespace {

/// A DIR that closes itself.
class Directory {
 public:
  Directory(int at, const char* name)
      : dir_(::fdopendir(::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))) {}
  ~Directory() {
    if (dir_ != nullptr) ::closedir(dir_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  bool valid() const { return dir_ != nullptr; }
  int fd() const { return ::dirfd(dir_); }
  /// The next name but "." and "..", or null at the end.
  const char* next() {
    while (const dirent* entry = ::readdir(dir_)) {
      if (::strcmp(entry->d_name, ".") != 0 && ::strcmp(entry->d_name, "..") != 0)
        return entry->d_name;
    }
    return nullptr;
  }

 private:
  DIR* dir_;
};

/// Removes what is in a directory. One descriptor and no recursion, however deep it is: the way
/// back is "..", and is taken only if it leads to where it came from.
class Remover {
 public:
  void run(UniqueFd top) {
    if (!enter(std::move(top), "")) return;
    for (;;) {
      Level& level = levels_.back();
      if (!level.dirs.empty()) {
        std::string name = std::move(level.dirs.back());
        level.dirs.pop_back();
        UniqueFd below = open_dir(name);
        if (!below || !enter(std::move(below), std::move(name))) note();
        continue;
      }
      const std::string name = std::move(level.name);
      levels_.pop_back();
      if (levels_.empty()) return;
      if (!leave()) return;
      if (::unlinkat(at_.get(), name.c_str(), AT_REMOVEDIR) < 0) note();
    }
  }
  Errno error() const { return error_; }

 private:
  struct Level {
    std::string name;
    dev_t dev;
    ino_t ino;
    std::vector<std::string> dirs;  ///< still to be removed
  };

  std::vector<std::string> names(int fd) {
    std::vector<std::string> out;
    Directory dir(fd, ".");
    if (!dir.valid()) {
      note();  // else the directory would be said not to be empty
      return out;
    }
    while (const char* name = dir.next()) out.emplace_back(name);
    return out;
  }

  void note() {
    if (error_ == 0) error_ = Errno::last();
  }

  UniqueFd open_dir(const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd fd(::openat(at_.get(), name.c_str(), kFlags));
    if (fd || errno != EACCES || ::fchmodat(at_.get(), name.c_str(), 0700, 0) < 0) return fd;
    return UniqueFd(::openat(at_.get(), name.c_str(), kFlags));
  }

  /// Goes down into a directory, and removes what is no directory in it.
  bool enter(UniqueFd fd, std::string name) {
    struct stat st;
    if (::fstat(fd.get(), &st) < 0) return false;
    // Should that be refused, then so will be what needs it.
    if ((st.st_mode & S_IRWXU) != S_IRWXU) (void)::fchmod(fd.get(), 0700);
    Level level{std::move(name), st.st_dev, st.st_ino, {}};
    for (std::string& entry : names(fd.get())) {
      if (::unlinkat(fd.get(), entry.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno == EISDIR) {
        level.dirs.push_back(std::move(entry));
      } else {
        note();
      }
    }
    levels_.push_back(std::move(level));
    at_ = std::move(fd);
    return true;
  }

  bool leave() {
    UniqueFd up(::openat(at_.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat st;
    if (!up || ::fstat(up.get(), &st) < 0) {
      note();
      return false;
    }
    at_ = std::move(up);
    const Level& level = levels_.back();
    if (st.st_dev == level.dev && st.st_ino == level.ino) return true;
    if (error_ == 0) error_ = Errno(EBUSY);  // moved meanwhile
    return false;
  }

  UniqueFd at_;
  std::vector<Level> levels_;  ///< from the top to `at_`
  Errno error_;
};

/// The bytes that a file's content takes up. A file system may count its own map of the file as the
/// file's, too (ext4 does from the fifth extent on, a block for 340 of them): what goes beyond the
/// size by no more than such a map is left out.
uint64_t content_bytes(const struct stat& st) {
  constexpr uint64_t kBlock = 4096;
  constexpr uint64_t kMapped = 256;  // blocks at least that one block of a map leads to
  uint64_t taken = static_cast<uint64_t>(st.st_blocks) * 512;
  uint64_t blocks = (static_cast<uint64_t>(st.st_size) + kBlock - 1) / kBlock;
  uint64_t map = kBlock * (1 + blocks / kMapped);
  return taken > blocks * kBlock && taken - blocks * kBlock <= map ? blocks * kBlock : taken;
}

}  // namespace

Result<void> remove_content(int dir) {
  UniqueFd top(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top) return Errno::last();
  Remover remover;
  remover.run(std::move(top));
  return remover.error() == 0 ? Result<void>() : remover.error();
}

Result<void> remove_tree(int dir, const std::string& path) {
  const PathAt at(dir, path);
  if (::unlinkat(at.dir(), at.name(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR) return Errno::last();
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd top(::openat(at.dir(), at.name(), kFlags));
  if (!top && errno == EACCES && ::fchmodat(at.dir(), at.name(), 0700, 0) == 0)
    top.reset(::openat(at.dir(), at.name(), kFlags));
  if (!top) return Errno::last();
  Remover remover;
  remover.run(std::move(top));
  if (::unlinkat(at.dir(), at.name(), AT_REMOVEDIR) == 0) return {};
  return remover.error() == 0 ? Errno::last() : remover.error();
}

Result<void> remove_tree(const std::string& host) { return remove_tree(AT_FDCWD, host); }

Usage measure_tree(const std::string& host) {
  Usage usage;
  std::set<uint64_t> linked;  // all on one device: a mount is a mount of the view, not of the host
  std::vector<std::string> todo = {host};
  while (!todo.empty()) {
    std::string path = std::move(todo.back());
    todo.pop_back();
    const PathAt at(AT_FDCWD, path);
    Directory dir(at.dir(), at.name());
    if (!dir.valid()) continue;
    while (const char* name = dir.next()) {
      struct stat st;
      if (::fstatat(dir.fd(), name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
      if (S_ISDIR(st.st_mode)) {
        ++usage.inodes;
        todo.push_back(path + "/" + name);
      } else if (st.st_nlink == 1 || linked.insert(st.st_ino).second) {
        ++usage.inodes;
        usage.bytes += content_bytes(st);
      }
    }
  }
  return usage;
}

}  // namespace viewsh::host_ops
