#include "host_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

namespace viewsh::host_ops {
namespace {

bool in_group(const Caller& caller, uint32_t gid) {
  return caller.gid == gid ||
         std::find(caller.groups.begin(), caller.groups.end(), gid) != caller.groups.end();
}

}  // namespace

std::string join(std::string_view a, std::string_view b) {
  std::string out(a);
  if (!a.empty() && !b.empty() && a.back() != '/') out += '/';
  out += b;
  return out;
}

std::string parent_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

UniqueFd open_beneath(int dir, std::string_view path, int flags) {
  struct open_how how = {};
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
  UniqueFd way;
  for (;;) {
    std::string piece(path.empty() ? "." : path);
    const bool last = piece.size() < PATH_MAX;
    if (!last) piece.resize(std::min(piece.rfind('/', PATH_MAX - 1), piece.size()));
    how.flags = static_cast<uint64_t>(last ? flags : O_PATH | O_DIRECTORY) | O_CLOEXEC;
    const int at = way ? way.get() : dir;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, at, piece.c_str(), &how, sizeof how)));
    if (last || !fd) return fd;
    way = std::move(fd);
    path.remove_prefix(piece.size() + 1);
  }
}

bool bits_allow(uint32_t mode, uint32_t uid, uint32_t gid, int want, const Caller& caller) {
  if (caller.root()) return (want & X_OK) == 0 || S_ISDIR(mode) || (mode & 0111) != 0;
  uint32_t bits = mode & 7;
  if (caller.uid == uid) {
    bits = (mode >> 6) & 7;
  } else if (in_group(caller, gid)) {
    bits = (mode >> 3) & 7;
  }
  return (bits & static_cast<uint32_t>(want)) == static_cast<uint32_t>(want);
}

Caller own_caller() {
  Caller caller;
  caller.uid = ::geteuid();
  caller.gid = ::getegid();
  return caller;
}

Result<Attr> get_attr(const std::string& host) {
  Attr attr{};
  const PathAt at(AT_FDCWD, host);
  int rc = ::statx(at.dir(), at.name(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
                   STATX_BASIC_STATS | STATX_BTIME, &attr);
  if (rc < 0) return Errno::last();
  return attr;
}

Result<std::vector<DirEntry>> list_dir(const std::string& host) {
  UniqueFd fd(::open(LongPath(host).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return Errno::last();
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) return Errno::last();
  (void)fd.release();  // closedir() closes it
  std::vector<DirEntry> out;
  errno = 0;
  while (const dirent* entry = ::readdir(dir)) {
    std::string_view name = entry->d_name;
    if (name != "." && name != "..")
      out.push_back({std::string(name), entry->d_ino, static_cast<NodeType>(entry->d_type)});
    errno = 0;
  }
  Errno error = Errno::last();
  ::closedir(dir);
  if (!(error == 0)) return error;
  return out;
}

Result<void> make_dir(const std::string& host, mode_t mode, mode_t umask) {
  ScopedUmask mask(umask);
  return from_libc(::mkdir(LongPath(host).c_str(), mode));
}

Result<void> make_node(const std::string& host, mode_t mode, dev_t dev, mode_t umask) {
  ScopedUmask mask(umask);
  return from_libc(::mknod(LongPath(host).c_str(), mode, dev));
}

Result<void> make_symlink(const std::string& host, const std::string& target) {
  return from_libc(::symlink(target.c_str(), LongPath(host).c_str()));
}

Result<void> make_link(const std::string& from, const std::string& to) {
  return from_libc(::link(LongPath(from).c_str(), LongPath(to).c_str()));
}

Result<void> link_open_file(const std::string& fd_path, const std::string& to) {
  return from_libc(
      ::linkat(AT_FDCWD, fd_path.c_str(), AT_FDCWD, LongPath(to).c_str(), AT_SYMLINK_FOLLOW));
}

Result<void> rename(const std::string& from, const std::string& to, unsigned flags) {
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
    return Errno(EINVAL);
  const PathAt source(AT_FDCWD, from);
  const PathAt target(AT_FDCWD, to);
  return from_libc(::renameat2(source.dir(), source.name(), target.dir(), target.name(), flags));
}

Result<std::string> read_link(const std::string& host) {
  char buffer[PATH_MAX];
  ssize_t length = ::readlink(LongPath(host).c_str(), buffer, sizeof buffer);
  if (length < 0) return Errno::last();
  return std::string(buffer, static_cast<size_t>(length));
}

Result<void> set_attr(const std::string& host, const SetAttr& set) {
  const LongPath reachable(host);
  const char* path = reachable.c_str();
  if (set.size) {
    TRY_ASSIGN(Attr attr, get_attr(host));
    if (type_of(attr) == NodeType::kDirectory) return Errno(EISDIR);
    if (type_of(attr) != NodeType::kRegular) return Errno(EINVAL);
    TRY(from_libc(::truncate(path, static_cast<off_t>(*set.size))));
  }
  if (set.uid || set.gid) {
    uid_t uid = set.uid.value_or(static_cast<uid_t>(-1));
    gid_t gid = set.gid.value_or(static_cast<gid_t>(-1));
    TRY(from_libc(::lchown(path, uid, gid)));
  }
  if (set.mode) TRY(from_libc(::fchmodat(AT_FDCWD, path, *set.mode & 07777, AT_SYMLINK_NOFOLLOW)));
  if (set.atime || set.mtime) {
    timespec omit{};
    omit.tv_nsec = UTIME_OMIT;
    timespec times[2] = {set.atime.value_or(omit), set.mtime.value_or(omit)};
    TRY(from_libc(::utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW)));
  }
  return {};
}

Result<void> set_xattr(const std::string& host, const std::string& name, std::string_view value,
                       int flags) {
  return from_libc(
      ::lsetxattr(LongPath(host).c_str(), name.c_str(), value.data(), value.size(), flags));
}

Result<void> remove_xattr(const std::string& host, const std::string& name) {
  return from_libc(::lremovexattr(LongPath(host).c_str(), name.c_str()));
}

}  // namespace viewsh::host_ops
