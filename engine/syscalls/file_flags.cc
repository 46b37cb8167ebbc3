// Flags of files: what chattr(1) and lsattr(1) ask for. fs/file_attr.c
#include "syscalls/file_flags.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace viewsh {

namespace {

struct Pair {
  uint32_t flag;
  uint32_t xflag;
};

/// What both requests can say: FS_COMMON_FL, FS_XFLAG_COMMON.
constexpr std::array<Pair, 7> kCommon = {{{FS_SYNC_FL, FS_XFLAG_SYNC},
                                          {FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE},
                                          {FS_APPEND_FL, FS_XFLAG_APPEND},
                                          {FS_NODUMP_FL, FS_XFLAG_NODUMP},
                                          {FS_NOATIME_FL, FS_XFLAG_NOATIME},
                                          {FS_DAX_FL, FS_XFLAG_DAX},
                                          {FS_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT}}};

uint32_t to_xflags(uint32_t flags) {
  uint32_t xflags = 0;
  for (const Pair& pair : kCommon) xflags |= (flags & pair.flag) != 0 ? pair.xflag : 0;
  return xflags;
}

/// Those that the second request can't say stay.
FileFlags from_xflags(const FileFlags& old, uint64_t xflags, uint32_t project) {
  FileFlags set{old.flags, project};
  for (const Pair& pair : kCommon) {
    set.flags &= ~pair.flag;
    if ((xflags & pair.xflag) != 0) set.flags |= pair.flag;
  }
  return set;
}

/// struct file_attr of <linux/fs.h>, Linux 6.17.
struct FileAttr {
  uint64_t xflags;
  uint32_t extent_size;
  uint32_t extents;
  uint32_t project;
  uint32_t cow_extent_size;
};

Outcome get_flags(Call& call, const Walked& walked, bool extended, uint64_t to) {
  const Result<FileFlags> flags = walked.fs_mutable().getflags(walked.path);
  if (!flags.ok()) return Outcome::error(flags.error());
  if (!extended) return Outcome::of(call.memory().put(to, flags->flags));
  fsxattr out{};
  out.fsx_xflags = to_xflags(flags->flags);
  out.fsx_projid = flags->project;
  return Outcome::of(call.memory().put(to, out));
}

Outcome set_flags(Call& call, const Walked& walked, bool extended, uint64_t from) {
  // The argument is read before the mount is asked whether it can be written to.
  FileFlags set;
  fsxattr wanted{};
  if (extended) {
    const Result<fsxattr> read = call.memory().get<fsxattr>(from);
    if (!read.ok()) return Outcome::error(read.error());
    wanted = *read;
  } else {
    const Result<uint32_t> read = call.memory().get<uint32_t>(from);
    if (!read.ok()) return Outcome::error(read.error());
    set.flags = *read;
  }
  FileSystem& fs = walked.fs_mutable();
  const Result<FileFlags> old = fs.getflags(walked.path);
  if (!old.ok()) return Outcome::error(old.error());
  if (fs.read_only()) return Outcome::error(EROFS);
  set.project = old->project;
  if (extended) set = from_xflags(*old, wanted.fsx_xflags, wanted.fsx_projid);
  return Outcome::of(fs.setflags(walked.path, set, call.caller()));
}

/// Does the file system of the place keep flags itself?
bool keeps_flags(const Walked& walked) {
  if (!walked.mount || !walked.fs().own_meta()) return false;
  const Result<FileFlags> flags = walked.fs_mutable().getflags(walked.path);
  return flags.ok() || !(flags.error() == ENOSYS);
}

/// fs/file_attr.c: of the two calls a file system without flags says EOPNOTSUPP.
Errno of_call(Errno error) { return error == ENOTTY ? Errno(EOPNOTSUPP) : error; }

Result<void> check_size(uint64_t size) {
  constexpr uint64_t kPage = 4096;
  if (size > kPage) return Errno(E2BIG);
  if (size < sizeof(FileAttr)) return Errno(EINVAL);
  return {};
}

}  // namespace

std::optional<Outcome> flags_ioctl(Call& call, int fd, unsigned request, uint64_t argument) {
  const bool gets = request == FS_IOC_GETFLAGS || request == FS_IOC_FSGETXATTR;
  const bool sets = request == FS_IOC_SETFLAGS || request == FS_IOC_FSSETXATTR;
  if (!gets && !sets) return std::nullopt;
  const Result<Walked> walked = call.walk_fd(fd, true);
  if (!Call::shown(walked) || !keeps_flags(*walked)) return std::nullopt;
  if (gets) return get_flags(call, *walked, request == FS_IOC_FSGETXATTR, argument);
  return set_flags(call, *walked, request == FS_IOC_FSSETXATTR, argument);
}

std::optional<Outcome> get_flags_at(Call& call, const Walked& walked, uint64_t to, uint64_t size) {
  if (!keeps_flags(walked)) return std::nullopt;
  if (auto ok = check_size(size); !ok) return Outcome::error(ok.error());
  const Result<FileFlags> flags = walked.fs_mutable().getflags(walked.path);
  if (!flags.ok()) return Outcome::error(of_call(flags.error()));
  std::string bytes(size, '\0');
  const FileAttr attr{to_xflags(flags->flags), 0, 0, flags->project, 0};
  memcpy(bytes.data(), &attr, sizeof attr);
  return Outcome::of(call.memory().write(to, bytes.data(), bytes.size()));
}

std::optional<Outcome> set_flags_at(Call& call, const Walked& walked, uint64_t from,
                                    uint64_t size) {
  if (!keeps_flags(walked)) return std::nullopt;
  if (auto ok = check_size(size); !ok) return Outcome::error(ok.error());
  std::string bytes(size, '\0');
  if (auto read = call.memory().read(from, bytes.data(), size); !read)
    return Outcome::error(read.error());
  if (bytes.find_first_not_of('\0', sizeof(FileAttr)) != std::string::npos)
    return Outcome::error(E2BIG);
  FileAttr attr{};
  memcpy(&attr, bytes.data(), sizeof attr);
  uint32_t known = 0;
  for (const Pair& pair : kCommon) known |= pair.xflag;
  if ((attr.xflags & ~uint64_t{known}) != 0) return Outcome::error(EINVAL);
  FileSystem& fs = walked.fs_mutable();
  if (fs.read_only()) return Outcome::error(EROFS);
  const Result<FileFlags> old = fs.getflags(walked.path);
  if (!old.ok()) return Outcome::error(of_call(old.error()));
  const Result<void> done =
      fs.setflags(walked.path, from_xflags(*old, attr.xflags, attr.project), call.caller());
  return done.ok() ? Outcome::result(0) : Outcome::error(of_call(done.error()));
}

}  // namespace viewsh
