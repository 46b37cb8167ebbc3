#include "commit_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cow_host.h"
#include "cow_index.h"

namespace viewsh::viewfs {
namespace {

constexpr size_t kRun = 4000;     ///< of a path in one call, below PATH_MAX
constexpr size_t kKeptOpen = 64;  ///< directories

UniqueFd open_run(int at, const std::string& run) {
  struct open_how how {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  return UniqueFd(static_cast<int>(
      syscall(SYS_openat2, at, run.empty() ? "." : run.c_str(), &how, sizeof how)));
}

UniqueFd open_path(int root, std::string_view path) {
  UniqueFd fd;
  int at = root;
  while (path.size() > kRun) {
    const size_t cut = path.rfind('/', kRun);
    UniqueFd next = open_run(at, std::string(path.substr(0, cut)));
    if (!next) return next;
    fd = std::move(next);
    at = fd.get();
    path.remove_prefix(cut + 1);
  }
  return open_run(at, std::string(path));
}

}  // namespace

Result<Dir> Tree::dir(const std::string& path) {
  const auto known = open_.find(path);
  if (known != open_.end()) return known->second;
  auto out = std::make_shared<OpenDir>();
  out->fd = open_path(root_, path);
  if (!out->fd) return Errno::last();
  struct stat st {};
  if (fstat(out->get(), &st) < 0) return Errno::last();
  out->ino = st.st_ino;
  if (open_.size() >= kKeptOpen) open_.clear();
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
