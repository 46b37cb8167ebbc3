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
  // A FIFO would be waited for.
  UniqueFd fd(openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  if (!fd || fstat(fd.get(), &st) < 0) return Errno::last();
  if (!S_ISREG(st.st_mode)) return Errno(EINVAL);
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

Result<void> write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> replace_file(int dir_fd, const char* name, const std::string& content) {
  const std::string temp = std::string(name) + ".new";
  UniqueFd fd(
      openat(dir_fd, temp.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return Errno::last();
  auto done = write_all(fd.get(), content);
  if (done) done = from_libc(fsync(fd.get()));
  if (done) done = from_libc(renameat(dir_fd, temp.c_str(), dir_fd, name));
  if (done) return from_libc(fsync(dir_fd));
  unlinkat(dir_fd, temp.c_str(), 0);
  return done;
}

namespace {

/// The process that a lock names last (a view's id is its engine's) is dead, if not yet waited for.
bool is_gone(const std::string& user) {
  const size_t end = user.find_last_of("0123456789");
  if (end == std::string::npos) return false;
  const size_t before = user.find_last_not_of("0123456789", end);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  const auto stat =
      read_whole(AT_FDCWD, ("/proc/" + user.substr(begin, end + 1 - begin) + "/stat").c_str());
  if (!stat) return stat.error() == ENOENT || stat.error() == ESRCH;
  const size_t name_end = stat->rfind(") ");
  const char state = name_end == std::string::npos ? '?' : (*stat)[name_end + 2];
  return state == 'Z' || state == 'X';
}

}  // namespace

Result<void> lock_layer(int lock_fd, const std::string& dir, int how) {
  constexpr int kTries = 300;
  constexpr int kBrief = 10;  // who only asks for the user, or begins the readers' list anew
  constexpr useconds_t kPause = 10'000;
  for (int i = 0; flock(lock_fd, how | LOCK_NB) < 0; ++i) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return Errno::last();
    const auto user = read_whole(AT_FDCWD, (dir + "/lock").c_str());
    if (i >= kTries || !user || (i >= kBrief && !is_gone(*user))) return Errno(EBUSY);
    usleep(kPause);
  }
  return {};
}

std::string layer_user(const std::string& dir) {
  UniqueFd fd(::open((dir + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const auto busy = [&](int how) {
    return flock(fd.get(), how | LOCK_NB) < 0 && errno == EWOULDBLOCK;
  };
  if (!fd || (!busy(LOCK_SH) && !busy(LOCK_EX))) return {};
  char id[256];
  const ssize_t n = pread(fd.get(), id, sizeof id, 0);
  std::string user(id, n > 0 ? static_cast<size_t>(n) : 0);
  while (!user.empty() && user.back() == '\n') user.pop_back();
  std::replace(user.begin(), user.end(), '\n', ' ');
  return user.empty() ? "another process" : user;
}

}  // namespace viewsh::viewfs
