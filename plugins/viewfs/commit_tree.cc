#include "commit_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cow_host.h"
#include "cow_index.h"
#include "host_ops.h"

namespace viewsh::viewfs {

Result<Dir> Tree::dir(const std::string& path) {
  const auto known = open_.find(path);
  if (known != open_.end()) return known->second;
  auto out = std::make_shared<OpenDir>();
  out->fd = host_ops::open_beneath(root_, path, O_PATH | O_DIRECTORY);
  if (!out->fd) return Errno::last();
  struct stat st {};
  if (fstat(out->get(), &st) < 0) return Errno::last();
  out->ino = st.st_ino;
  if (open_.size() >= kept_) open_.clear();
  open_.emplace(path, out);
  return out;
}

Result<Dir> Tree::dir(const std::string& path, uint64_t ino) {
  auto out = dir(path);
  if (out && (*out)->ino != ino) {
    open_.erase(path);  // what is kept open may have moved
    out = dir(path);
  }
  if (out && (*out)->ino != ino) return Errno(ESTALE);
  return out;
}

Result<Dir> Tree::parent(const std::string& path) { return dir(std::string(parent_of(path))); }

Result<Attr> Tree::lstat(const std::string& path) {
  TRY_ASSIGN(const Dir dir, parent(path));
  return lstat_in(dir, leaf_of(path));
}

std::string leaf_of(const std::string& path) {
  return path.empty() ? "." : std::string(name_of(path));
}

Result<Attr> lstat_in(const Dir& dir, const std::string& name) {
  return lstat_at(dir->get(), name);
}

Result<std::vector<std::string>> names_in(int dir_fd, const std::string& name) {
  UniqueFd fd(openat(dir_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return Errno::last();
  fd.release();
  std::vector<std::string> out;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string child = entry->d_name;
    if (child != "." && child != "..") out.push_back(child);
    errno = 0;
  }
  const Errno why = errno == 0 ? Errno() : Errno::last();
  closedir(dir);
  if (!(why == 0)) return why;
  return out;
}

UniqueFd open_anyway(int dir_fd, const std::string& name, int flags) {
  flags |= O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  UniqueFd fd(openat(dir_fd, name.c_str(), flags));
  struct stat st {};
  if (fd || errno != EACCES || fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
    return fd;
  }
  const mode_t mode = st.st_mode & 07777;
  if (fchmodat(dir_fd, name.c_str(), mode | S_IRUSR | S_IWUSR, 0) < 0) return fd;
  fd.reset(openat(dir_fd, name.c_str(), flags));
  const int code = errno;
  fchmodat(dir_fd, name.c_str(), mode, 0);
  errno = code;
  return fd;
}

}  // namespace viewsh::viewfs
