#include "dump.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "op.h"
#include "worker.h"

namespace viewsh_model {
namespace {

using Inode = std::pair<dev_t, ino_t>;
using Visitor = std::function<void(int dir, const std::string& name, const std::string& path,
                                   const struct stat& st)>;

std::vector<std::string> names_in(int fd) {
  std::vector<std::string> names;
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

/// Every object, the directory before what is in it. Descriptors keep paths short.
void visit(int dir, const std::string& name, const std::string& path, const Visitor& visitor) {
  struct stat st {};
  if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    visitor(dir, name, path + " " + outcome(-1), st);
    return;
  }
  visitor(dir, name, path, st);
  if (!S_ISDIR(st.st_mode)) return;
  const int fd = openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    visitor(dir, name, path + "/ " + outcome(-1), {});
    return;
  }
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  for (const std::string& child : names_in(copy)) visit(fd, child, path + "/" + child, visitor);
  close(fd);
}

std::string xattrs_of(int dir, const std::string& name) {
  const std::string path = "/proc/self/fd/" + std::to_string(dir) + "/" + name;
  char list[4096];
  const ssize_t n = llistxattr(path.c_str(), list, sizeof(list));
  std::vector<std::string> all;
  for (ssize_t i = 0; i < n;) {
    const std::string key = list + i;
    i += static_cast<ssize_t>(key.size()) + 1;
    char value[4096];
    const ssize_t size = lgetxattr(path.c_str(), key.c_str(), value, sizeof(value));
    all.push_back(" " + escape(key) + "=" +
                  (size < 0 ? outcome(-1) : escape({value, static_cast<size_t>(size)})));
  }
  std::sort(all.begin(), all.end());
  std::string out;
  for (const std::string& one : all) out += one;
  return out;
}

std::string content_of(int dir, const std::string& name, const struct stat& st) {
  if (S_ISLNK(st.st_mode)) {
    char text[PATH_MAX];
    const ssize_t n = readlinkat(dir, name.c_str(), text, sizeof(text));
    return n < 0 ? outcome(-1) : "-> " + escape({text, static_cast<size_t>(n)});
  }
  if (!S_ISREG(st.st_mode)) return "";
  const int fd = openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return outcome(-1);
  std::string data(static_cast<size_t>(st.st_size) + 1, '\0');
  size_t have = 0;
  for (ssize_t n = 1; n > 0 && have < data.size(); have += static_cast<size_t>(n)) {
    n = read(fd, data.data() + have, data.size() - have);
    if (n < 0) break;
  }
  close(fd);
  data.resize(have);
  return digest(data);
}

std::string exact_part(const struct stat& st) {
  return " ino=" + std::to_string(st.st_ino) + " blocks=" + std::to_string(st.st_blocks) +
         " mtime=" + std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec) +
         " ctime=" + std::to_string(st.st_ctim.tv_sec) + "." + std::to_string(st.st_ctim.tv_nsec);
}

bool is_result(const std::string& line) {
  return line.find(" = ") != std::string::npos && !line.starts_with("/") && !line.starts_with("%");
}

void open_up(const std::string& root) {
  visit(AT_FDCWD, root, "",
        [](int dir, const std::string& name, const std::string&, const struct stat& st) {
          if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) fchmodat(dir, name.c_str(), 0700, 0);
        });
}

}  // namespace

std::string dump(const std::string& root, const DumpHow& how) {
  if (how.unlock) open_up(root);
  std::string out;
  std::map<Inode, std::string> first;
  visit(AT_FDCWD, root, "",
        [&](int dir, const std::string& name, const std::string& path, const struct stat& st) {
          std::string line = escape(path);
          if (st.st_mode == 0) {
            out += line + "\n";
            return;
          }
          const auto [seen, is_first] = first.try_emplace({st.st_dev, st.st_ino}, path);
          struct stat shown = st;
          if (how.unlock) shown.st_mode &= static_cast<mode_t>(S_IFMT);
          const std::string proc = "/proc/self/fd/" + std::to_string(dir) + "/" + name;
          line +=
              " " + describe(shown, !how.outline, proc) + (how.outline ? "" : xattrs_of(dir, name));
          if (!is_first) line += " = " + escape(seen->second);
          if (how.outline) {
            out += line + "\n";
            return;
          }
          out += line + " " + content_of(dir, name, st) + (how.exact ? exact_part(st) : "") + "\n";
        });
  return out;
}

std::string link_faults(const std::string& root) {
  std::map<Inode, std::pair<nlink_t, std::vector<std::string>>> names;
  bool hidden = false;
  visit(AT_FDCWD, root, "",
        [&](int, const std::string&, const std::string& path, const struct stat& st) {
          hidden = hidden || st.st_mode == 0;  // names that can't be seen
          if (st.st_mode == 0 || S_ISDIR(st.st_mode)) return;
          auto& entry = names[{st.st_dev, st.st_ino}];
          entry.first = st.st_nlink;
          entry.second.push_back(path);
        });
  std::string out;
  if (hidden) return out;
  for (const auto& [inode, entry] : names) {
    if (entry.first == entry.second.size()) continue;
    out += escape(entry.second[0]) + " has nlink=" + std::to_string(entry.first) + " and " +
           std::to_string(entry.second.size()) + " names\n";
  }
  return out;
}

void remove_tree(const std::string& root) {
  open_up(root);
  std::vector<std::string> paths;
  // Names may be longer together than a path may be; descriptors reach them all.
  const std::function<void(int, const std::string&)> remove = [&](int dir,
                                                                  const std::string& name) {
    if (unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return;
    const int fd = openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
      const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
      for (const std::string& child : names_in(copy)) remove(fd, child);
      close(fd);
    }
    unlinkat(dir, name.c_str(), AT_REMOVEDIR);
  };
  remove(AT_FDCWD, root);
}

std::string difference(const std::string& native, const std::string& view) {
  if (native == view) return "";
  const auto a = lines_of(native);
  const auto b = lines_of(view);
  // What operations printed is in order; of trees, which come last, lines may be missing.
  std::string out;
  size_t shown = 0;
  const auto add = [&](const std::string& left, const std::string& right) {
    if (++shown <= 4) out += "  native: " + left + "\n  view:   " + right + "\n";
  };
  size_t same = 0;
  while (same < a.size() && same < b.size() && is_result(a[same]) && is_result(b[same])) {
    if (a[same] != b[same]) add(a[same], b[same]);
    ++same;
  }
  const auto tail = [&](const std::vector<std::string>& lines) {
    return std::multiset<std::string>(lines.begin() + static_cast<std::ptrdiff_t>(same),
                                      lines.end());
  };
  const std::multiset<std::string> only_a = tail(a);
  const std::multiset<std::string> only_b = tail(b);
  for (const std::string& line : only_a) {
    if (only_a.count(line) != only_b.count(line)) add(line, "(not so)");
  }
  for (const std::string& line : only_b) {
    if (only_a.count(line) != only_b.count(line)) add("(not so)", line);
  }
  return shown > 4 ? out + "  and " + std::to_string(shown - 4) + " more\n" : out;
}

}  // namespace viewsh_model
