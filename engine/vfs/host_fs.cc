#include "vfs/host_fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

#include "base/path.h"
#include "viewsh/long_path.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

void PathCache::tick() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  now_ = now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void PathCache::clear() { entries_.clear(); }

void PathCache::put(const std::string& path, Entry entry) {
  if (frozen_ > 0) return;
  if (entries_.size() >= kMaxEntries) entries_.clear();
  entry.until = now_ + kLifetimeNs;
  entries_[path] = std::move(entry);
}

bool PathCache::is_plain_dir(const std::string& path) {
  auto it = entries_.find(path);
  return it != entries_.end() && !it->second.is_link && it->second.until >= now_;
}

void PathCache::put_plain_dir(const std::string& path) { put(path, {}); }

const std::string* PathCache::link(const std::string& path) {
  auto it = entries_.find(path);
  if (it == entries_.end() || !it->second.is_link || it->second.until < now_) return nullptr;
  return &it->second.target;
}

void PathCache::put_link(const std::string& path, const std::string& target) {
  put(path, {0, true, target});
}

HostFs::HostFs(std::string root, std::shared_ptr<PathCache> cache)
    : root_(root == "/" ? "" : std::move(root)), cache_(std::move(cache)) {}

std::string HostFs::host_path(std::string_view path) const {
  if (path.empty()) return root_.empty() ? "/" : root_;
  std::string out;
  out.reserve(root_.size() + path.size() + 1);
  return out.append(root_).append("/").append(path);
}

namespace {

/// Opens with O_PATH if no component of `path` is a link; the errno otherwise (ELOOP: a link).
Result<UniqueFd> open_without_links(const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | O_NOFOLLOW | flags;
  how.resolve = RESOLVE_NO_SYMLINKS;
  LongPath reachable(path);
  // A way by a descriptor begins with a link of procfs, which was checked piece by piece or not at
  // all: such a path is looked at component by component.
  if (reachable.text() != path) return Errno(ELOOP);
  long fd = syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how);
  if (fd < 0) return Errno::last();
  return UniqueFd(static_cast<int>(fd));
}

Result<std::string> read_link(const std::string& path) {
  char text[PATH_MAX];
  ssize_t n = readlink(LongPath(path).c_str(), text, sizeof text);
  if (n < 0) return Errno::last();
  return std::string(text, static_cast<size_t>(n));
}

}  // namespace

bool HostFs::shows_host(const std::string& path) {
  return root_.empty() && open_without_links(host_path(path), O_DIRECTORY).ok();
}

Result<Found> HostFs::look_at_last(std::string full, size_t consumed, ResolveFlags flags) {
  Found found;
  found.consumed = consumed;
  found.in_place = true;
  if (flags.follow_last) {
    if (const std::string* target = cache_->link(full)) {
      found.kind = Found::Kind::kLink;
      found.target = *target;
      found.host = std::move(full);
      return found;
    }
    Result<std::string> target = read_link(full);
    if (target.ok()) {
      cache_->put_link(full, *target);
      found.kind = Found::Kind::kLink;
      found.target = std::move(*target);
    } else if (target.error() == ENOENT) {
      found.kind = Found::Kind::kMissing;
    } else if (target.error() == EINVAL) {
      found.exists = true;
    } else {
      return target.error();
    }
  }
  if (flags.want_exists && found.kind == Found::Kind::kNode) {
    struct stat st {};
    if (lstat(LongPath(full).c_str(), &st) == 0) {
      found.exists = true;
      found.type = type_of_mode(st.st_mode);
    } else if (errno == ENOENT) {
      found.kind = Found::Kind::kMissing;
    } else {
      return Errno::last();
    }
  }
  found.host = std::move(full);
  return found;
}

bool HostFs::cached_link_on_way(const std::string& base, std::string_view rest, Found* found) {
  std::string full = host_path(base);
  size_t from = 0;
  while (true) {
    size_t slash = rest.find('/', from);
    if (slash == std::string_view::npos) return false;
    if (full.back() != '/') full.push_back('/');
    full.append(rest.substr(from, slash - from));
    if (const std::string* target = cache_->link(full)) {
      found->kind = Found::Kind::kLink;
      found->target = *target;
      found->consumed = slash;
      found->host = std::move(full);
      found->in_place = true;
      return true;
    }
    from = slash + 1;
  }
}

/// The slow way, component by component: there is a link somewhere before the last one.
Result<Found> HostFs::scan(const std::string& base, std::string_view rest, ResolveFlags flags) {
  std::string full = host_path(base);
  size_t from = 0;
  while (true) {
    size_t slash = rest.find('/', from);
    bool last = slash == std::string_view::npos;
    size_t end = last ? rest.size() : slash;
    if (full.back() != '/') full.push_back('/');
    full.append(rest.substr(from, end - from));
    if (last) return look_at_last(std::move(full), end, flags);
    if (!cache_->is_plain_dir(full)) {
      Result<std::string> target = read_link(full);
      if (target.ok()) {
        cache_->put_link(full, *target);
        Found found;
        found.kind = Found::Kind::kLink;
        found.target = std::move(*target);
        found.consumed = end;
        found.host = std::move(full);
        found.in_place = true;
        return found;
      }
      if (!(target.error() == EINVAL)) return target.error();
    }
    from = slash + 1;
  }
}

Result<Found> HostFs::resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                              const Caller&) {
  if (rest.empty()) {
    flags.follow_last = false;
    return look_at_last(host_path(base), 0, flags);
  }
  size_t slash = rest.rfind('/');
  std::string full = host_path(join_path(base, rest));
  std::string parent = parent_path(full);
  // With one component the directory is `base` itself, which the caller has resolved: only whether
  // it is one has to be known.
  if (slash == std::string_view::npos && !cache_->is_plain_dir(parent)) {
    Result<UniqueFd> fd = open_without_links(parent, O_DIRECTORY);
    if (fd.ok()) {
      cache_->put_plain_dir(parent);
    } else if (fd.error() == ENOTDIR) {
      return Errno(ENOTDIR);
    }
  }
  if (slash != std::string_view::npos) {
    if (!cache_->is_plain_dir(parent)) {
      Found found;
      if (cached_link_on_way(base, rest, &found)) return found;
      Result<UniqueFd> fd = open_without_links(parent, O_DIRECTORY);
      if (!fd.ok()) {
        // ENOTDIR is also what a link in the last place gives with O_NOFOLLOW | O_DIRECTORY.
        if (!(fd.error() == ELOOP) && !(fd.error() == ENOTDIR)) return fd.error();
        Result<Found> scanned = scan(base, rest, flags);
        bool link = scanned.ok() && (scanned->kind == Found::Kind::kLink || fd.error() == ELOOP);
        if (scanned.ok() && !link) return Errno(ENOTDIR);
        return scanned;
      }
      cache_->put_plain_dir(parent);
    }
  }
  return look_at_last(std::move(full), rest.size(), flags);
}

Result<Attr> HostFs::getattr(const std::string& path) {
  Attr attr{};
  if (statx(AT_FDCWD, LongPath(host_path(path)).c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
            STATX_BASIC_STATS | STATX_BTIME, &attr) < 0) {
    return Errno::last();
  }
  return attr;
}

Result<std::vector<DirEntry>> HostFs::list(const std::string& path) {
  int fd = open(LongPath(host_path(path)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return Errno::last();
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    Errno error = Errno::last();
    close(fd);
    return error;
  }
  std::vector<DirEntry> out;
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    out.push_back({std::string(name), entry->d_ino, static_cast<NodeType>(entry->d_type)});
  }
  Errno error = Errno::last();
  closedir(dir);
  if (!(error == 0)) return error;
  return out;
}

std::optional<std::string> HostFs::reverse(const std::string& host) {
  if (root_.empty())
    return host.empty() || host[0] != '/' ? std::nullopt : std::optional(host.substr(1));
  if (!is_at_or_below(host, root_)) return std::nullopt;
  return std::string(below_of(host, root_));
}

Result<std::shared_ptr<FileSystem>> HostFs::subtree(const std::string& path) {
  std::string host = host_path(path);
  if (access(LongPath(host).c_str(), F_OK) < 0) return Errno::last();
  return std::shared_ptr<FileSystem>(std::make_shared<HostFs>(std::move(host), cache_));
}

}  // namespace viewsh
