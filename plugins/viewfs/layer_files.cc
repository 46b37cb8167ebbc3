#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "layer.h"

namespace viewsh::viewfs {

std::string check_layer_name(const std::string& name) {
  if (name.empty()) return "a layer needs a name";
  if (name[0] == '.' || name.find('/') != std::string::npos || name.size() > 200) {
    return "layer " + name + ": a layer's name is one file name that doesn't start with a dot";
  }
  return {};
}

bool make_dirs(const std::string& path) {
  for (size_t at = 1; at != std::string::npos && at <= path.size();) {
    at = path.find('/', at);
    const std::string part = path.substr(0, at);
    const bool made = mkdir(part.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return false;
    const std::string above = part.substr(0, std::max<size_t>(part.rfind('/'), 1));
    const UniqueFd dir(made ? ::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1);
    // One that can't be opened for reading can't be synced by us; nor could its owner's mkdir(1).
    if (dir && fsync(dir.get()) < 0) return false;
    if (at != std::string::npos) ++at;
  }
  return true;
}

Result<std::string> read_whole(int dir_fd, const char* name) {
  UniqueFd fd(openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Errno::last();
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
  }
}

std::string layer_user(const std::string& dir) {
  UniqueFd fd(::open((dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || flock(fd.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return {};
  char id[256];
  const ssize_t n = pread(fd.get(), id, sizeof id, 0);
  std::string user(id, n > 0 ? static_cast<size_t>(n) : 0);
  while (!user.empty() && user.back() == '\n') user.pop_back();
  return user.empty() ? "another process" : user;
}

}  // namespace viewsh::viewfs
