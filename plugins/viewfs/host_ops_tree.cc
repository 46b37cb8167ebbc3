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

/// Removes the tree below one open directory with a constant number of descriptors: directories
/// inside directories are first moved up to the top, so that depth costs neither stack nor files.
class Remover {
 public:
  explicit Remover(int top) : top_(top) {}

  void run() {
    // Names may be added while the directory is read: begin again until nothing is left to do.
    for (bool progress = true; progress;) {
      progress = false;
      for (const std::string& name : names(top_)) progress |= remove_at_top(name);
    }
  }
  Errno error() const { return error_; }

 private:
  static std::vector<std::string> names(int fd) {
    std::vector<std::string> out;
    Directory dir(fd, ".");
    if (!dir.valid()) return out;
    while (const char* name = dir.next()) out.emplace_back(name);
    return out;
  }

  void note(int rc) {
    if (rc < 0 && error_ == 0) error_ = Errno::last();
  }

  bool remove_at_top(const std::string& name) {
    if (::unlinkat(top_, name.c_str(), 0) == 0) return true;
    if (errno != EISDIR) {
      note(-1);
      return false;
    }
    // Reading it and moving it both need its permissions. Not a link: unlink said so.
    (void)::fchmodat(top_, name.c_str(), 0700, 0);
    {
      Directory dir(top_, name.c_str());
      if (dir.valid()) empty(dir.fd());
    }
    int rc = ::unlinkat(top_, name.c_str(), AT_REMOVEDIR);
    note(rc);
    return rc == 0;
  }

  void empty(int fd) {
    for (const std::string& name : names(fd)) {
      if (::unlinkat(fd, name.c_str(), 0) == 0) continue;
      if (errno != EISDIR) {
        note(-1);
        continue;
      }
      (void)::fchmodat(fd, name.c_str(), 0700, 0);
      note(move_up(fd, name));
    }
  }

  int move_up(int fd, const std::string& name) {
    for (;;) {
      std::string fresh = ".viewsh-removed-" + std::to_string(counter_++);
      int rc = ::renameat2(fd, name.c_str(), top_, fresh.c_str(), RENAME_NOREPLACE);
      if (rc == 0 || errno != EEXIST) return rc;
    }
  }

  int top_;
  uint64_t counter_ = 0;
  Errno error_;
};

}  // namespace

Result<void> remove_tree(const std::string& host) {
  (void)::chmod(host.c_str(), 0700);
  UniqueFd top(::open(host.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top.valid()) return Errno::last();
  Remover remover(top.get());
  remover.run();
  if (::rmdir(host.c_str()) == 0) return {};
  return remover.error() == 0 ? Errno::last() : remover.error();
}

Usage measure_tree(const std::string& host) {
  Usage usage;
  std::set<uint64_t> linked;  // all on one device: a mount is a mount of the view, not of the host
  std::vector<std::string> todo = {host};
  while (!todo.empty()) {
    std::string path = std::move(todo.back());
    todo.pop_back();
    Directory dir(AT_FDCWD, path.c_str());
    if (!dir.valid()) continue;
    while (const char* name = dir.next()) {
      struct stat st;
      if (::fstatat(dir.fd(), name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
      if (S_ISDIR(st.st_mode)) {
        ++usage.inodes;
        todo.push_back(path + "/" + name);
      } else if (st.st_nlink == 1 || linked.insert(st.st_ino).second) {
        ++usage.inodes;
        usage.bytes += static_cast<uint64_t>(st.st_blocks) * 512;
      }
    }
  }
  return usage;
}

}  // namespace viewsh::host_ops
