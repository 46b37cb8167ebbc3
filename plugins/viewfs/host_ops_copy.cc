#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "host_ops.h"

namespace viewsh::host_ops {
namespace {

/// Where copy_file_range(2) can't be used between the two: through memory. Returned is how far.
Result<off_t> copy_by_hand(int from, int to, off_t offset, off_t end) {
  std::vector<char> buffer(size_t{1} << 17);
  while (offset < end) {
    size_t want = std::min(buffer.size(), static_cast<size_t>(end - offset));
    ssize_t got = ::pread(from, buffer.data(), want, offset);
    if (got < 0) return Errno::last();
    if (got == 0) return offset;  // cut meanwhile, or of another size than it tells, as in /sys
    for (ssize_t done = 0; done < got;) {
      ssize_t put =
          ::pwrite(to, buffer.data() + done, static_cast<size_t>(got - done), offset + done);
      if (put < 0) return Errno::last();
      done += put;
    }
    offset += got;
  }
  return end;
}

Result<off_t> copy_range(int from, int to, off_t offset, off_t end) {
  off_t in = offset;
  off_t out = offset;
  while (in < end) {
    ssize_t done = ::copy_file_range(from, &in, to, &out, static_cast<size_t>(end - in), 0);
    if (done > 0) continue;
    // 0: the end, or a file system that says so of files made up on reading (/proc).
    bool refused = done == 0 || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP ||
                   errno == ENOSYS || errno == EBADF || errno == EPERM;
    if (!refused) return Errno::last();
    return copy_by_hand(from, to, in, end);
  }
  return end;
}

}  // namespace

Result<void> copy_content(int from, int to) {
  if (::ioctl(to, FICLONE, from) == 0) return {};
  struct stat st;
  TRY(from_libc(::fstat(from, &st)));
  off_t position = 0;
  while (position < st.st_size) {
    off_t data = ::lseek(from, position, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole up to the end
    off_t hole = data < 0 ? -1 : ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) {  // no such question here: all is data
      data = position;
      hole = st.st_size;
    }
    TRY_ASSIGN(position, copy_range(from, to, data, hole));
    if (position < hole) return from_libc(::ftruncate(to, position));
  }
  return from_libc(::ftruncate(to, st.st_size));
}

namespace {

/// The whole answer of listxattr(2) or getxattr(2): asked again where it grew in between.
template <typename Call>
Result<std::string> whole_answer(const Call& call) {
  for (;;) {
    ssize_t size = call(nullptr, 0);
    if (size < 0) return Errno::last();
    std::string out(static_cast<size_t>(size), '\0');
    if (size > 0) size = call(out.data(), out.size());
    if (size < 0 && errno == ERANGE) continue;
    if (size < 0) return Errno::last();
    out.resize(static_cast<size_t>(size));
    return out;
  }
}

/// What belongs to the file, and is not a matter of the system that it is on.
bool is_the_users(const std::string& name) {
  return name.starts_with("user.") || name.starts_with("system.posix_acl_");
}

}  // namespace

Result<void> copy_xattrs(const std::string& from_path, const std::string& to) {
  const LongPath from(from_path);
  const auto names =
      whole_answer([&](char* at, size_t size) { return ::llistxattr(from.c_str(), at, size); });
  if (!names) return names.error() == EOPNOTSUPP ? Result<void>() : names.error();
  for (size_t at = 0; at < names->size();) {
    std::string name = names->c_str() + at;
    at += name.size() + 1;
    const auto answer = whole_answer([&](char* to_where, size_t size) {
      return ::lgetxattr(from.c_str(), name.c_str(), to_where, size);
    });
    // Not readable for us: it could not have been copied by cp(1) either. Or it went meanwhile.
    const Errno why = answer.error();
    if (why == EACCES || why == EPERM || why == ENODATA || why == EOPNOTSUPP) continue;
    if (!answer) return why;
    const std::string& value = *answer;
    Result<void> done = set_xattr(to, name, value, 0);
    // A file system that keeps none: better no copy than one that lost something.
    if (done || done.error() == EPERM || done.error() == EACCES) continue;
    if (done.error() != EOPNOTSUPP || is_the_users(name)) return done;
  }
  return {};
}

}  // namespace viewsh::host_ops
