#include "cow_host.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "viewsh/long_path.h"
#include "viewsh/posix_acl.h"

namespace viewsh::viewfs {
namespace {

timespec to_timespec(const statx_timestamp& t) {
  return {.tv_sec = static_cast<time_t>(t.tv_sec), .tv_nsec = static_cast<long>(t.tv_nsec)};
}

constexpr uint64_t kWhole = 1 << 20;  ///< up to this size a file without holes is copied in one go

/// Up to `end`, or to where the file ends: it may be cut meanwhile, or tell of a size that it
/// hasn't got, as in /sys. Returned is where that was.
Result<off_t> copy_by_buffer(int from, int to, off_t at, off_t end) {
  std::vector<char> buffer(1 << 16);
  while (at < end) {
    const auto want = static_cast<size_t>(std::min<off_t>(end - at, 1 << 16));
    const ssize_t n = pread(from, buffer.data(), want, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    if (n == 0) return at;
    for (ssize_t done = 0; done < n;) {
      const ssize_t w = pwrite(to, buffer.data() + done, static_cast<size_t>(n - done), at + done);
      if (w < 0) return Errno::last();
      done += w;
    }
    at += n;
  }
  return end;
}

Result<off_t> copy_extent(int from, int to, off_t at, off_t end) {
  off_t in = at;
  off_t out = at;
  while (in < end) {
    const ssize_t n = copy_file_range(from, &in, to, &out, static_cast<size_t>(end - in), 0);
    if (n == 0) return copy_by_buffer(from, to, in, end);
    if (n < 0) {
      if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) return Errno::last();
      return copy_by_buffer(from, to, in, end);
    }
  }
  return end;
}

}  // namespace

Result<Attr> lstat_at(int dir_fd, const std::string& path) {
  Attr attr{};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
  const PathAt at(dir_fd, path);
  if (statx(at.dir(), at.name(), flags, STATX_BASIC_STATS | STATX_BTIME, &attr) < 0) {
    return Errno::last();
  }
  return attr;
}

bool says_gone(Errno why) {
  return why == ENOENT || why == ENOTDIR || why == ELOOP || why == ESTALE;
}

Result<std::string> read_link(int dir_fd, const std::string& path) {
  std::string out(256, '\0');
  const PathAt at(dir_fd, path);
  for (;;) {
    const ssize_t n = readlinkat(at.dir(), at.name(), out.data(), out.size());
    if (n < 0) return Errno::last();
    if (static_cast<size_t>(n) < out.size()) {
      out.resize(static_cast<size_t>(n));
      return out;
    }
    out.resize(out.size() * 2);
  }
}

std::unordered_map<std::string, uint64_t> inode_numbers(int dir_fd, const std::string& path) {
  std::unordered_map<std::string, uint64_t> out;
  const PathAt at(dir_fd, path.empty() ? "." : path);
  UniqueFd fd(openat(at.dir(), at.name(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return out;
  fd.release();
  while (const dirent* entry = readdir(dir)) out.emplace(entry->d_name, entry->d_ino);
  closedir(dir);
  return out;
}

Result<void> copy_data(int from, int to, const Attr& attr) {
  if (ioctl(to, FICLONE, from) == 0) return {};
  const auto end = static_cast<off_t>(attr.stx_size);
  const bool whole = attr.stx_blocks * 512 >= attr.stx_size && attr.stx_size <= kWhole;
  off_t reached = 0;
  while (reached < end) {
    // Small and without holes; or a file system that doesn't tell of holes.
    const off_t data = whole ? reached : lseek(from, reached, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      struct stat st {};
      TRY(from_libc(fstat(from, &st)));
      return from_libc(ftruncate(to, std::min<off_t>(st.st_size, end)));
    }
    const off_t hole = whole || data < 0 ? end : lseek(from, data, SEEK_HOLE);
    const off_t begin = data < 0 ? reached : data;
    const off_t want = hole < 0 ? end : std::min(hole, end);
    TRY_ASSIGN(reached, copy_extent(from, to, begin, want));
    if (reached < want) break;
  }
  return whole && reached == end ? Result<void>() : from_libc(ftruncate(to, reached));
}

namespace {

/// The whole answer of listxattr(2) or getxattr(2): asked again where it grew in between.
template <typename Call>
Result<std::string> whole_answer(size_t room, const Call& call) {
  std::string out(room, '\0');
  for (;;) {
    ssize_t got = call(out.data(), out.size());
    if (got >= 0) {
      out.resize(static_cast<size_t>(got));
      return out;
    }
    if (errno != ERANGE) return Errno::last();
    got = call(nullptr, 0);
    if (got < 0) return Errno::last();
    out.resize(static_cast<size_t>(got) + room);
  }
}

/// `refused`: there are some that the mode of the file keeps from being read.
Result<Xattrs> read_xattrs(const LongPath& path, bool* refused) {
  Xattrs out;
  const auto names =
      whole_answer(256, [&](char* to, size_t size) { return llistxattr(path.c_str(), to, size); });
  if (!names && names.error() == EOPNOTSUPP) return out;
  if (!names) return names.error();
  for (size_t at = 0; at < names->size();) {
    const std::string name = names->c_str() + at;
    at += name.size() + 1;
    if (!is_kept_xattr(name)) continue;
    auto value = whole_answer(65536, [&](char* to, size_t size) {
      return lgetxattr(path.c_str(), name.c_str(), to, size);
    });
    if (value) {
      out[name] = std::move(*value);
    } else if (value.error() == EACCES || value.error() == EPERM) {
      *refused = true;
    } else if (value.error() != ENODATA && value.error() != EOPNOTSUPP) {  // it went meanwhile
      return value.error();
    }
  }
  return out;
}

}  // namespace

bool is_kept_xattr(std::string_view name) {
  return name.starts_with("user.") || name == kAccessAcl || name == kDefaultAcl;
}

std::string access_acl(const LongPath& path) {
  std::string acl(65536, '\0');
  const std::string name(kAccessAcl);
  const ssize_t size = lgetxattr(path.c_str(), name.c_str(), acl.data(), acl.size());
  acl.resize(static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return acl;
}

Result<Xattrs> read_xattrs(const LongPath& path) {
  bool refused = false;
  return read_xattrs(path, &refused);
}

bool same_xattrs(const Result<Xattrs>& a, const Result<Xattrs>& b) { return a && b && *a == *b; }

bool has_no_xattrs_at(int dir_fd, const std::string& name) {
  constexpr long kListxattrat = 465;  // Linux 6.13; not in older headers
  static std::atomic<bool> known{true};
  if (!known || name.empty() || name.size() >= PATH_MAX) return false;
  const long got = syscall(kListxattrat, dir_fd, name.c_str(), AT_SYMLINK_NOFOLLOW, nullptr, 0);
  // EPERM: a filter that was written before the call was there.
  if (got < 0 && (errno == ENOSYS || errno == EPERM)) known = false;
  return got == 0;
}

Result<Xattrs> read_own_xattrs_at(int dir_fd, const std::string& name) {
  if (has_no_xattrs_at(dir_fd, name)) return Xattrs();
  bool refused = false;
  const LongPath path(dir_fd, name);
  auto out = read_xattrs(path, &refused);
  struct stat st {};
  const PathAt at(dir_fd, name);
  if (!refused || fstatat(at.dir(), at.name(), &st, AT_SYMLINK_NOFOLLOW) < 0) return out;
  const mode_t mode = st.st_mode & 07777;
  if (st.st_uid != geteuid() || fchmodat(at.dir(), at.name(), mode | S_IRUSR, 0) < 0) return out;
  out = read_xattrs(path, &refused);
  fchmodat(at.dir(), at.name(), mode, 0);
  return out;
}

Result<Xattrs> read_xattrs_at(int dir_fd, const std::string& name) {
  if (has_no_xattrs_at(dir_fd, name)) return Xattrs();  // as most have none
  return read_xattrs(LongPath(dir_fd, name));
}

Result<void> set_xattrs(const LongPath& to, const Xattrs& xattrs) {
  for (const auto& [name, value] : xattrs) {
    TRY(from_libc(lsetxattr(to.c_str(), name.c_str(), value.data(), value.size(), 0)));
  }
  return {};
}

Result<void> copy_xattrs(const LongPath& from, const LongPath& to) {
  TRY_ASSIGN(const Xattrs xattrs, read_xattrs(from));
  return set_xattrs(to, xattrs);
}

Result<void> set_times(int dir_fd, const std::string& path, const Attr& from) {
  const timespec times[2] = {to_timespec(from.stx_atime), to_timespec(from.stx_mtime)};
  const PathAt at(dir_fd, path.empty() ? "." : path);
  return from_libc(utimensat(at.dir(), at.name(), times, AT_SYMLINK_NOFOLLOW));
}

CopiedAttr copy_attr(int dir_fd, const std::string& path, const Attr& from, mode_t extra) {
  CopiedAttr copied;
  const PathAt at(dir_fd, path);
  const char* name = at.name();
  struct stat st {};
  if (fstatat(at.dir(), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
    copied.owner = st.st_uid == from.stx_uid && st.st_gid == from.stx_gid;
    if (!copied.owner) {
      const uid_t uid = st.st_uid == from.stx_uid ? static_cast<uid_t>(-1) : from.stx_uid;
      copied.owner = fchownat(at.dir(), name, uid, from.stx_gid, AT_SYMLINK_NOFOLLOW) == 0 ||
                     (fchownat(at.dir(), name, static_cast<uid_t>(-1), from.stx_gid,
                               AT_SYMLINK_NOFOLLOW) == 0 &&
                      st.st_uid == from.stx_uid);
    }
    const mode_t want = (from.stx_mode & 07777) | extra;
    if (!S_ISLNK(st.st_mode)) {
      if ((st.st_mode & 07777) != want) fchmodat(at.dir(), name, want, 0);
      copied.mode = extra == 0 || want == (from.stx_mode & 07777);
    }
  }
  (void)set_times(dir_fd, path, from);
  return copied;
}

Result<CopiedAttr> copy_node(const std::string& host, const Attr& attr, int dir_fd,
                             const std::string& temp, bool with_data, bool flush,
                             const Xattrs& xattrs) {
  if (S_ISLNK(attr.stx_mode)) {
    TRY_ASSIGN(const std::string target, read_link(AT_FDCWD, host));
    TRY(from_libc(symlinkat(target.c_str(), dir_fd, temp.c_str())));
    return copy_attr(dir_fd, temp, attr, 0);
  }
  UniqueFd to(openat(dir_fd, temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) return Errno::last();
  if (with_data) {
    UniqueFd from(open(LongPath(host).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    Result<void> done = from ? copy_data(from.get(), to.get(), attr) : Errno::last();
    if (done && flush) done = from_libc(fdatasync(to.get()));
    if (!done) {
      unlinkat(dir_fd, temp.c_str(), 0);
      return done.error();
    }
  }
  const Result<void> done = set_xattrs(LongPath(dir_fd, temp), xattrs);
  if (!done) {
    unlinkat(dir_fd, temp.c_str(), 0);
    return done.error();
  }
  return copy_attr(dir_fd, temp, attr, 0);
}

}  // namespace viewsh::viewfs
