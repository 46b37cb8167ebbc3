#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <new>

#include "syscalls/borrow.h"
#include "syscalls/handlers.h"
#include "syscalls/writing.h"

namespace viewsh {

namespace {

/// The file system that what a descriptor is open on belongs to; null: none with a limit.
FileSystem* limited(Call& call, int fd, const OpenObject& object) {
  const bool plain = object.view_path && !object.host.ends_with(" (deleted)");
  if (plain && !call.keeps_visits()) {
    // Of a name that is there the mount is all that counts.
    const Location here = call.view().locate(*object.view_path);
    return here.mount->fs && here.mount->fs->quota() ? here.mount->fs.get() : nullptr;
  }
  const Result<Walked> walked = call.walk_fd(fd);
  if (!walked.ok() || !walked->fs().quota()) return nullptr;
  return &walked->fs_mutable();
}

/// How many bytes of a write, from its begin on, go where the file has room by now: data, or what
/// was allocated for them.
uint64_t written_over(Call& call, int fd, uint64_t size, const WritePlace& place) {
  const PlannedWrite write = planned_write(call, fd, place);
  const Result<UniqueFd> file = borrow_fd(call.task(), fd);
  struct stat st {};
  if (write.size == PlannedWrite::kToTheEnd || !file.ok() || fstat(file->get(), &st) < 0) return 0;
  // The last block of the host's file may be longer than that of what it stands for.
  const auto length = static_cast<uint64_t>(st.st_size);
  if (write.offset >= length) return 0;
  size = std::min(size, length - write.offset);
  constexpr uint32_t kAtOnce = 32;
  std::array<char, sizeof(fiemap) + kAtOnce * sizeof(fiemap_extent)> room{};
  auto* map = new (room.data()) fiemap{};
  map->fm_start = write.offset;
  map->fm_length = size;
  map->fm_flags = FIEMAP_FLAG_SYNC;
  map->fm_extent_count = kAtOnce;
  uint64_t end = write.offset;
  if (ioctl(file->get(), FS_IOC_FIEMAP, map) == 0) {
    for (uint32_t i = 0; i < map->fm_mapped_extents && map->fm_extents[i].fe_logical <= end; ++i)
      end = map->fm_extents[i].fe_logical + map->fm_extents[i].fe_length;
    return std::min(size, std::max(end, write.offset) - write.offset);
  }
  // A memory file system. The descriptor's position is the task's: one of our own is moved.
  const UniqueFd own(
      open(("/proc/self/fd/" + std::to_string(file->get())).c_str(), O_RDONLY | O_CLOEXEC));
  const off_t begin = static_cast<off_t>(write.offset);
  if (!own || lseek(own.get(), begin, SEEK_DATA) != begin) return 0;
  const off_t hole = lseek(own.get(), begin, SEEK_HOLE);
  return hole < begin ? 0 : std::min(size, static_cast<uint64_t>(hole - begin));
}

/// How many of `size` bytes may be written to what a descriptor refers to; nullopt: no limit there.
/// `place`: where they go.
std::optional<uint64_t> allowed(Call& call, int fd, uint64_t size, const WritePlace& place) {
  const Result<OpenObject> object = call.object(fd);
  if (!object.ok() || object->host[0] != '/') return std::nullopt;
  tell_writing_to(call, fd, object->host, place);
  FileSystem* fs = limited(call, fd, *object);
  if (fs == nullptr) return std::nullopt;
  const uint64_t fits = fs->reserve(size);
  return fits >= size ? size : std::min(size, fits + written_over(call, fd, size, place));
}

/// A call whose argument says how much it writes: shortened to what fits, as the kernel does it.
Outcome shortened(Call& call, int fd, uint64_t size, unsigned argument, WritePlace place) {
  place.size = size;
  std::optional<uint64_t> fits = allowed(call, fd, size, place);
  if (!fits || *fits >= size) return Outcome::as_is();
  if (*fits == 0) return Outcome::error(ENOSPC);
  return Outcome::rewritten().set(argument, *fits);
}

/// The same for what comes from another file: programs ask for more than any file has, and the room
/// for that isn't looked for.
Outcome copied(Call& call, int from, int to, uint64_t size, unsigned argument) {
  constexpr uint64_t kUnknown = 1 << 20;  // files of proc(5) have no length
  const Result<UniqueFd> source = borrow_fd(call.task(), from);
  struct stat st {};
  uint64_t most = size;
  if (source.ok() && fstat(source->get(), &st) == 0 && S_ISREG(st.st_mode))
    most = std::min(size, std::max(static_cast<uint64_t>(st.st_size), kUnknown));
  const std::optional<uint64_t> fits = allowed(call, to, most, {});
  if (!fits || *fits >= size) return Outcome::as_is();
  if (*fits == 0) return Outcome::error(ENOSPC);
  return Outcome::rewritten().set(argument, *fits);
}

/// The same for what is in several places. `place`: its size is found here.
Outcome shortened_vector(Call& call, int fd, uint64_t vector, int count, WritePlace place) {
  if (count <= 0 || count > IOV_MAX) return Outcome::as_is();
  std::vector<iovec> parts(static_cast<size_t>(count));
  if (!call.memory().read(vector, parts.data(), parts.size() * sizeof(iovec)).ok()) {
    return Outcome::as_is();
  }
  uint64_t size = 0;
  for (const iovec& part : parts) size += std::min<uint64_t>(part.iov_len, INT32_MAX);
  place.size = size;
  std::optional<uint64_t> fits = allowed(call, fd, size, place);
  if (!fits || *fits >= size) return Outcome::as_is();
  // As many whole parts as fit; a short count is what the program then sees.
  uint64_t used = 0;
  uint64_t whole = 0;
  while (whole < parts.size() && used + parts[whole].iov_len <= *fits)
    used += parts[whole++].iov_len;
  if (whole == 0 || used == 0) return Outcome::error(ENOSPC);
  return Outcome::rewritten().set(2, whole);
}

}  // namespace

Outcome sys_quota_write(Call& call, Fd fd, uint64_t, uint64_t size) {
  return shortened(call, fd.value, size, 2, {.at_position = true});
}

Outcome sys_quota_pwrite(Call& call, Fd fd, uint64_t, uint64_t size, uint64_t offset) {
  return shortened(call, fd.value, size, 2, {.offset = offset});
}

Outcome sys_quota_writev(Call& call, Fd fd, uint64_t vector, int count) {
  return shortened_vector(call, fd.value, vector, count, {.at_position = true});
}

Outcome sys_quota_pwritev(Call& call, Fd fd, uint64_t vector, int count, uint64_t offset) {
  return shortened_vector(call, fd.value, vector, count, {.offset = offset});
}

Outcome sys_pwritev2(Call& call, Fd fd, uint64_t vector, int count, uint64_t offset, uint64_t,
                     Flags flags) {
  constexpr uint64_t kAtPosition = UINT64_MAX;
  if ((flags & (RWF_DSYNC | RWF_SYNC)) != 0) {
    Outcome failed = sys_fsync(call, fd);
    if (failed.kind == Outcome::Kind::kReturn) return failed;
  }
  WritePlace place{.offset = offset};
  constexpr int kNoAppend =
      0x20;  // RWF_NOAPPEND, Linux 6.9: the descriptor's O_APPEND doesn't count
  if ((flags & (RWF_APPEND | kNoAppend)) != 0) place = {};
  if (place.offset == kAtPosition) place = {.at_position = true};
  return shortened_vector(call, fd.value, vector, count, place);
}

Outcome sys_quota_sendfile(Call& call, Fd to, Fd from, uint64_t, uint64_t size) {
  return copied(call, from.value, to.value, size, 3);
}

Outcome sys_quota_copy(Call& call, Fd from, uint64_t, Fd to, uint64_t, uint64_t size) {
  return copied(call, from.value, to.value, size, 4);
}

Outcome sys_quota_fallocate(Call& call, Fd fd, Flags mode, int64_t, int64_t size) {
  constexpr int kFrees = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE;
  if ((mode & kFrees) != 0) tell_writing(call, fd.value, {});
  if ((mode & kFrees) != 0 || size <= 0) return Outcome::as_is();
  std::optional<uint64_t> fits = allowed(call, fd.value, static_cast<uint64_t>(size), {});
  if (!fits || *fits >= static_cast<uint64_t>(size)) return Outcome::as_is();
  return Outcome::error(ENOSPC);
}

}  // namespace viewsh
