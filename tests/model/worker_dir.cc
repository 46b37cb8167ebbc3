// Operations that read directories.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "worker.h"

namespace viewsh_model {
namespace {

/// All names of an open directory with what else readdir(3) says of them, checked against lstat(2).
std::string listing(int fd) {
  // A description of its own, so that the worker's offset stays.
  const int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = again >= 0 ? fdopendir(again) : nullptr;
  if (dir == nullptr) return outcome(-1);
  std::map<std::string, std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    std::string what = names.contains(name) ? " TWICE" : "";
    struct stat st {};
    if (name != "." && name != ".." && fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
      if (entry->d_type != DT_UNKNOWN && entry->d_type != IFTODT(st.st_mode)) what += " TYPE";
      if (entry->d_ino != st.st_ino) what += " INODE";
    }
    names[name] = what;
  }
  const std::string end = errno != 0 ? " " + outcome(-1) : "";
  closedir(dir);
  std::string out = "[";
  for (const auto& [name, what] : names) out += " " + escape(name) + what;
  return out + " ]" + end;
}

/// list PATH
std::string op_list(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const int fd = openat(at.dir, at.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return outcome(-1);
  const std::string out = listing(fd);
  close(fd);
  return out;
}

/// flist SLOT: from the start, on the descriptor itself.
std::string op_flist(Worker& w, const Op& op) {
  const int copy = fcntl(w.fd(op.args[0]), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return outcome(-1);
  DIR* dir = fdopendir(copy);
  if (dir == nullptr) {
    const std::string out = outcome(-1);
    close(copy);
    return out;
  }
  rewinddir(dir);
  std::multiset<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir)) names.insert(entry->d_name);
  std::string out = errno != 0 ? outcome(-1) : "[";
  for (const std::string& name : names) out += " " + escape(name);
  closedir(dir);
  return out + " ]";
}

/// purge PATH: removes what is in a directory while reading it, as rm -r does, and the directory.
/// Directories in it are left, so that this is no way to lose everything at once.
std::string op_purge(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const int fd = openat(at.dir, at.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd >= 0 ? fdopendir(fd) : nullptr;
  if (dir == nullptr) return outcome(-1);
  std::set<std::string> results;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    results.insert(escape(name) + ":" + outcome(unlinkat(fd, name.c_str(), 0)));
  }
  closedir(dir);
  std::string out = "[";
  for (const std::string& result : results) out += " " + result;
  return out + " ] " + outcome(unlinkat(at.dir, at.path.c_str(), AT_REMOVEDIR));
}

/// growing PATH COUNT: makes files while reading. What was there before comes exactly once.
std::string op_growing(Worker& w, const Op& op) {
  const auto at = w.place(op.args[0]);
  const int fd = openat(at.dir, at.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* dir = fd >= 0 ? fdopendir(fd) : nullptr;
  if (dir == nullptr) return outcome(-1);
  std::set<std::string> before;
  while (const dirent* entry = readdir(dir)) before.insert(entry->d_name);
  rewinddir(dir);
  std::map<std::string, int> seen;
  const long long count = number(op.args[1]);
  std::string out;
  long long made = 0;
  while (const dirent* entry = readdir(dir)) {
    ++seen[entry->d_name];
    if (made == count) continue;
    const std::string name = "grown" + std::to_string(made++);
    const int file = openat(fd, name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) out += " " + outcome(-1);
    if (file >= 0) close(file);
  }
  for (const std::string& name : before) {
    if (seen[name] != 1) out += " " + escape(name) + ":" + std::to_string(seen[name]);
  }
  for (long long i = 0; i < made; ++i) {
    const std::string name = "grown" + std::to_string(i);
    if (unlinkat(fd, name.c_str(), 0) != 0) out += " " + outcome(-1);
  }
  closedir(dir);
  return "ok" + out;
}

}  // namespace

const Worker::Verb kDirVerbs[] = {
    {"list", op_list},       {"flist", op_flist}, {"purge", op_purge},
    {"growing", op_growing}, {"", nullptr},
};

}  // namespace viewsh_model
