#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <optional>
#include <set>
#include <unordered_map>

#include "recorder.h"

namespace viewsh::crash {
namespace {

constexpr uint64_t kFirst = uint64_t{1} << 40;  ///< inode numbers that no file system here gives

struct Known {
  Id id = 0;
  uint64_t ino = 0;           ///< that is shown
  std::optional<Attr> shown;  ///< in place of the kernel's
};

struct State {
  bool recording = false;
  uint64_t dev = 0;
  std::unordered_map<uint64_t, Known> known;  ///< by the kernel's inode number
  Id last = 0;
  std::vector<Op> ops;
  std::string full_root;
  std::string plain_root;
  std::string apart[2];
  uint64_t kept_apart = 0;
  uint64_t fail_at = 0;
  uint64_t count = 0;
  uint64_t failed = 0;
  std::set<int> programs;  ///< descriptors
};

State& state() {
  static State* s = new State();
  return *s;
}

class KeepErrno {
 public:
  ~KeepErrno() { errno = saved_; }

 private:
  int saved_ = errno;
};

bool raw_stat(int dir, const std::string& path, int flags, Attr* out) {
  return syscall(SYS_statx, dir, path.c_str(), flags | AT_EMPTY_PATH,
                 STATX_BASIC_STATS | STATX_BTIME, out) == 0;
}
uint64_t dev_of(const Attr& attr) { return makedev(attr.stx_dev_major, attr.stx_dev_minor); }

Known* find(const Attr& attr) {
  State& s = state();
  if (s.known.empty() || dev_of(attr) != s.dev) return nullptr;
  const auto it = s.known.find(attr.stx_ino);
  return it == s.known.end() ? nullptr : &it->second;
}

Known* find_fd(int fd) {
  Attr attr{};
  return !state().known.empty() && raw_stat(fd, "", 0, &attr) ? find(attr) : nullptr;
}

/// A name in a directory that is recorded.
struct Spot {
  Id dir = 0;
  int fd = 0;
  std::string parent, name;
};

std::optional<Spot> locate(int dir, std::string path) {
  if (state().known.empty()) return {};
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  Spot spot;
  spot.fd = dir;
  spot.parent = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  spot.name = slash == std::string::npos ? path : path.substr(slash + 1);
  Attr attr{};
  if (!raw_stat(dir, spot.parent, 0, &attr)) return {};
  const Known* known = find(attr);
  if (known == nullptr) return {};
  spot.dir = known->id;
  return spot;
}

std::map<std::string, std::string> xattrs_of(const std::string& path, bool follow) {
  std::map<std::string, std::string> out;
  char names[4096];
  char value[4096];
  const ssize_t size = follow ? listxattr(path.c_str(), names, sizeof names)
                              : llistxattr(path.c_str(), names, sizeof names);
  for (ssize_t at = 0; at < size;) {
    const std::string name = names + at;
    at += static_cast<ssize_t>(name.size()) + 1;
    const ssize_t n = follow ? getxattr(path.c_str(), name.c_str(), value, sizeof value)
                             : lgetxattr(path.c_str(), name.c_str(), value, sizeof value);
    if (n >= 0) out[name] = std::string(value, static_cast<size_t>(n));
  }
  return out;
}

/// What a node looks like now; nothing of one that isn't recorded.
std::optional<Op::After> after(int dir, const std::string& path, bool follow) {
  Op::After out;
  if (!raw_stat(dir, path, follow ? 0 : AT_SYMLINK_NOFOLLOW, &out.attr)) return {};
  Known* known = find(out.attr);
  if (known == nullptr) return {};
  known->shown.reset();
  out.node = known->id;
  out.attr.stx_ino = known->ino;
  if (!state().recording) return out;
  const bool own = path.empty();
  const std::string fd = "/proc/self/fd/" + std::to_string(dir);
  const bool relative = dir != AT_FDCWD && (path.empty() || path[0] != '/');
  out.xattrs = xattrs_of(relative ? (own ? fd : fd + "/" + path) : path, follow || own);
  return out;
}

void add(Op op, const std::vector<Spot>& changed) {
  for (const Spot& spot : changed) {
    if (auto dir = after(spot.fd, spot.parent, true)) op.attrs.push_back(std::move(*dir));
  }
  if (state().recording) state().ops.push_back(std::move(op));
}

std::string text_of_link(int dir, const char* path) {
  char text[PATH_MAX];
  const ssize_t n = readlinkat(dir, path, text, sizeof text);
  return std::string(text, n > 0 ? static_cast<size_t>(n) : 0);
}

bool below(const std::string& root, int dir, const char* path) {
  std::string text = path;
  if (path[0] != '/' || text.starts_with("/proc/self/fd/")) {
    const std::string link = path[0] == '/' ? text.substr(0, text.find('/', 14))
                                            : "/proc/self/fd/" + std::to_string(dir);
    text = dir == AT_FDCWD && path[0] != '/' ? "" : text_of_link(AT_FDCWD, link.c_str());
  }
  return text.starts_with(root);
}

bool is_full() {
  State& s = state();
  if (++s.count < s.fail_at) return false;
  ++s.failed;
  errno = ENOSPC;
  return true;
}

void scan(const std::string& path, Id id, Disk* disk) {
  Disk::Node& node = disk->nodes[id];
  raw_stat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, &node.attr);
  node.mode = node.attr.stx_mode;
  node.xattrs = xattrs_of(path, false);
  // What was written down about what is here already goes on to hold.
  state().known[node.attr.stx_ino] = {id, node.attr.stx_ino, {}};
  if (S_ISLNK(node.mode)) node.text = text_of_link(AT_FDCWD, path.c_str());
  if (S_ISREG(node.mode)) {
    const int fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY, 0));
    char buffer[65536];
    for (ssize_t n; fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0;) {
      node.content.append(buffer, static_cast<size_t>(n));
    }
    node.durable = node.content;
    if (fd >= 0) close(fd);
  }
  DIR* dir = S_ISDIR(node.mode) ? opendir(path.c_str()) : nullptr;
  while (const dirent* entry = dir != nullptr ? readdir(dir) : nullptr) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    Attr attr{};
    raw_stat(AT_FDCWD, path + "/" + name, AT_SYMLINK_NOFOLLOW, &attr);
    const Known* old = find(attr);
    const Id child = old != nullptr ? old->id : ++state().last;
    disk->nodes[id].names[name] = child;
    if (old == nullptr) scan(path + "/" + name, child, disk);
  }
  if (dir != nullptr) closedir(dir);
}

}  // namespace

namespace recorder {

Disk start(const std::string& root) {
  forget();
  State& s = state();
  Attr attr{};
  raw_stat(AT_FDCWD, root, 0, &attr);
  s.dev = dev_of(attr);
  Disk disk;
  disk.root = ++s.last;
  scan(root, disk.root, &disk);
  s.ops.clear();
  s.recording = true;
  return disk;
}

std::vector<Op> stop() {
  state().recording = false;
  return std::move(state().ops);
}

size_t position() { return state().ops.size(); }

void adopt(const std::vector<Disk::Made>& made) {
  State& s = state();
  s.known.clear();
  for (const Disk::Made& m : made) s.known[m.ino] = {m.node, m.attr.stx_ino, m.attr};
}

void forget() { state().known.clear(); }

void fail_from(const std::string& root, uint64_t nth) {
  State& s = state();
  s.full_root = root;
  s.fail_at = nth;
  s.count = s.failed = 0;
}

void be_plain(const std::string& root) { state().plain_root = root; }

void be_apart(const std::string& one, const std::string& other) {
  State& s = state();
  s.apart[0] = one;
  s.apart[1] = other;
  s.kept_apart = 0;
}

uint64_t kept_apart() { return state().kept_apart; }

uint64_t failed() { return state().failed; }

}  // namespace recorder

namespace watch {

bool watching() { return state().recording || !state().known.empty(); }

bool there(int dir, const char* path) {
  const KeepErrno keep;
  Attr attr{};
  return raw_stat(dir, path, AT_SYMLINK_NOFOLLOW, &attr);
}

bool refused(int dir, const char* path) {
  if (state().fail_at == 0) return false;
  const int saved = errno;
  const bool here = below(state().full_root, dir, path);
  errno = saved;
  return here && is_full();
}

namespace {
bool plain(int dir, const char* path, int code) {
  const std::string& root = state().plain_root;
  if (root.empty()) return false;
  const int saved = errno;
  const bool here = below(root, dir, path);
  errno = here ? code : saved;
  return here;
}
}  // namespace

bool no_links(int dir, const char* path) { return plain(dir, path, EPERM); }
bool no_xattrs(const char* path) { return plain(AT_FDCWD, path, EOPNOTSUPP); }

bool apart(int a, const char* from, int b, const char* to) {
  State& s = state();
  const auto& [one, other] = s.apart;
  if (one.empty()) return false;
  const int saved = errno;
  const bool here =
      (below(one, a, from) && below(other, b, to)) || (below(other, a, from) && below(one, b, to));
  if (here) ++s.kept_apart;
  errno = here ? EXDEV : saved;
  return here;
}

size_t writable(int fd, size_t size) {
  State& s = state();
  if (s.fail_at == 0 || s.programs.count(fd) != 0) return size;
  const int saved = errno;
  const bool here = below(s.full_root, fd, "");
  errno = saved;
  if (!here || !is_full()) return size;
  // The last that fits is a part of it.
  return s.count == s.fail_at ? size / 2 : 0;
}

void own(int fd, bool program) {
  if (program) {
    state().programs.insert(fd);
  } else {
    state().programs.erase(fd);
  }
}

void made(int dir, const char* path) {
  const KeepErrno keep;
  const auto spot = locate(dir, path);
  if (!spot) return;
  Op op;
  op.kind = Op::Kind::kMake;
  op.dir = spot->dir;
  op.name = spot->name;
  if (!raw_stat(dir, path, AT_SYMLINK_NOFOLLOW, &op.attr)) return;
  op.node = ++state().last;
  state().known[op.attr.stx_ino] = {op.node, kFirst + op.node, {}};
  op.attr.stx_ino = kFirst + op.node;
  if (S_ISLNK(op.attr.stx_mode)) op.data = text_of_link(dir, path);
  if (auto now = after(dir, path, false)) op.attrs.push_back(std::move(*now));
  add(std::move(op), {*spot});
}

void linked(int dir, const char* path) {
  const KeepErrno keep;
  const auto spot = locate(dir, path);
  Attr attr{};
  if (!spot || !raw_stat(dir, path, AT_SYMLINK_NOFOLLOW, &attr)) return;
  const Known* known = find(attr);
  if (known == nullptr) return;
  Op op;
  op.kind = Op::Kind::kLink;
  op.dir = spot->dir;
  op.name = spot->name;
  op.node = known->id;
  add(std::move(op), {*spot});
}

void removed(int dir, const char* path) {
  const KeepErrno keep;
  const auto spot = locate(dir, path);
  if (!spot) return;
  Op op;
  op.kind = Op::Kind::kRemove;
  op.dir = spot->dir;
  op.name = spot->name;
  add(std::move(op), {*spot});
}

void wrote(int fd, const void* data, size_t size, off_t at) {
  const KeepErrno keep;
  const Known* known = find_fd(fd);
  auto now = after(fd, "", true);
  if (known == nullptr || !now || !S_ISREG(now->attr.stx_mode)) return;
  Op op;
  op.kind = Op::Kind::kWrite;
  op.node = known->id;
  const bool append = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
  const uint64_t end = append ? now->attr.stx_size : static_cast<uint64_t>(lseek(fd, 0, SEEK_CUR));
  op.offset = at >= 0 ? static_cast<uint64_t>(at) : end - size;
  op.data.assign(static_cast<const char*>(data), size);
  op.attrs.push_back(std::move(*now));
  add(std::move(op), {});
}

void reread(int fd) {
  const KeepErrno keep;
  const Known* known = find_fd(fd);
  auto now = after(fd, "", true);
  if (known == nullptr || !now || !state().recording) return;
  Op op;
  op.kind = Op::Kind::kWrite;
  op.node = known->id;
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  const int in = static_cast<int>(syscall(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY, 0));
  char buffer[65536];
  for (ssize_t n; in >= 0 && (n = read(in, buffer, sizeof buffer)) > 0;) {
    op.data.append(buffer, static_cast<size_t>(n));
  }
  if (in >= 0) close(in);
  op.attrs.push_back(std::move(*now));
  add(std::move(op), {});
}

void truncated(int fd, uint64_t size) {
  const KeepErrno keep;
  const Known* known = find_fd(fd);
  auto now = after(fd, "", true);
  if (known == nullptr || !now) return;
  Op op;
  op.kind = Op::Kind::kTruncate;
  op.node = known->id;
  op.offset = size;
  op.attrs.push_back(std::move(*now));
  add(std::move(op), {});
}

void synced(int fd) {
  const KeepErrno keep;
  const Known* known = find_fd(fd);
  if (known == nullptr) return;
  Op op;
  op.kind = Op::Kind::kSync;
  op.node = known->id;
  add(std::move(op), {});
}

void synced_all() {
  if (state().known.empty()) return;
  Op op;
  op.kind = Op::Kind::kSyncAll;
  add(std::move(op), {});
}

void attr(int dir, const char* path, bool follow) {
  const KeepErrno keep;
  if (state().known.empty()) return;
  Op op;
  auto now = after(dir, path, follow);
  if (!now) return;
  op.attrs.push_back(std::move(*now));
  add(std::move(op), {});
}

Renaming::Renaming(int a, const char* from, int b, const char* to, bool exchange)
    : a_(a), b_(b), from_(from), to_(to), exchange_(exchange) {}

void Renaming::done() const {
  const KeepErrno keep;
  const auto from = locate(a_, from_);
  const auto to = locate(b_, to_);
  if (!from || !to) return;
  Op op;
  op.kind = exchange_ ? Op::Kind::kExchange : Op::Kind::kRename;
  op.dir = from->dir;
  op.name = from->name;
  op.to_dir = to->dir;
  op.to_name = to->name;
  add(std::move(op), {*from, *to});
}

void show(struct stat* out) {
  State& s = state();
  if (s.known.empty() || out->st_dev != s.dev) return;
  const auto it = s.known.find(out->st_ino);
  if (it == s.known.end()) return;
  out->st_ino = it->second.ino;
  if (!it->second.shown) return;
  out->st_ctim = {it->second.shown->stx_ctime.tv_sec,
                  static_cast<long>(it->second.shown->stx_ctime.tv_nsec)};
}

void show(struct statx* out) {
  const Known* known = find(*out);
  if (known == nullptr) return;
  out->stx_ino = known->ino;
  if (!known->shown) return;
  out->stx_ctime = known->shown->stx_ctime;
  out->stx_btime = known->shown->stx_btime;
}

void show(int dir_fd, dirent* entry) {
  const KeepErrno keep;
  State& s = state();
  Attr attr{};
  if (s.known.empty() || !raw_stat(dir_fd, "", 0, &attr) || dev_of(attr) != s.dev) return;
  const auto it = s.known.find(entry->d_ino);
  if (it != s.known.end()) entry->d_ino = it->second.ino;
}

}  // namespace watch
}  // namespace viewsh::crash
