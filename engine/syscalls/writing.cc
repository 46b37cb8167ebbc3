#include "syscalls/writing.h"

#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "syscalls/borrow.h"
#include "syscalls/handlers.h"

namespace viewsh {

PlannedWrite planned_write(Call& call, int fd, const WritePlace& place) {
  PlannedWrite write{call.task().tid, 0, PlannedWrite::kToTheEnd, false, place.maps};
  if (!place.offset && !place.at_position) return write;
  const Result<UniqueFd> file = borrow_fd(call.task(), fd);
  if (!file.ok()) return write;
  const int flags = fcntl(file->get(), F_GETFL);
  struct stat st {};
  if (flags < 0 || fstat(file->get(), &st) < 0) return write;
  if ((flags & O_APPEND) != 0) {
    // Behind what others append meanwhile; pwrite(2) does so, too.
    write.offset = static_cast<uint64_t>(st.st_size);
    return write;
  }
  const off_t position = place.at_position ? lseek(file->get(), 0, SEEK_CUR) : 0;
  if (position < 0) return write;
  write.offset = place.at_position ? static_cast<uint64_t>(position) : *place.offset;
  write.size = place.size;
  write.at_position = place.at_position;
  return write;
}

std::vector<std::shared_ptr<const Mount>> all_mounts(Call& call) {
  std::vector<std::shared_ptr<const Mount>> out;
  for (const View::Entry& entry : call.view().entries()) {
    if (!entry.mount->late && entry.mount->fs) out.push_back(entry.mount);
  }
  const auto& late = call.session().late;
  out.insert(out.end(), late.begin(), late.end());
  return out;
}

void tell_writing_to(Call& call, int fd, const std::string& host, const WritePlace& place) {
  for (const auto& mount : all_mounts(call)) {
    FileSystem& fs = *mount->own_fs();
    if (!hears_of_writes(fs)) continue;
    const WritePlace known =
        fs.asks_where(host) ? place : WritePlace{{}, false, PlannedWrite::kToTheEnd, place.maps};
    fs.writing(host, planned_write(call, fd, known));
  }
}

void tell_writing(Call& call, int fd, const WritePlace& place) {
  const Result<OpenObject> object = call.object(fd);
  if (object.ok()) tell_writing_to(call, fd, object->host, place);
}

void tell_written(Call& call, const std::string& host) {
  for (const auto& mount : all_mounts(call)) {
    FileSystem& fs = *mount->own_fs();
    if (hears_of_writes(fs)) fs.writing(host, {call.task().tid});
  }
}

/// Trapped with MAP_SHARED alone.
Outcome sys_mmap(Call& call, uint64_t, size_t, int, Flags flags, Fd fd) {
  const bool of_file = (flags & MAP_ANONYMOUS) == 0 && fd.value >= 0;
  if (of_file) tell_writing(call, fd.value, {.maps = true});
  return Outcome::as_is();
}

Outcome sys_ftruncate(Call& call, Fd fd, int64_t) {
  tell_writing(call, fd.value, {});
  return Outcome::as_is();
}

/// What is written is found in the program's memory; where that can't be read, nothing is written.
Outcome sys_io_submit(Call& call, uint64_t, int64_t count, Addr<uint64_t> requests) {
  constexpr int64_t kMost = 65536;
  for (int64_t i = 0; i < std::min(count, kMost); ++i) {
    const auto at = call.memory().get<uint64_t>(requests.value + static_cast<uint64_t>(i) * 8);
    if (!at.ok()) break;
    const auto request = call.memory().get<iocb>(*at);
    if (!request.ok()) break;
    const bool writes =
        request->aio_lio_opcode == IOCB_CMD_PWRITE || request->aio_lio_opcode == IOCB_CMD_PWRITEV;
    // When it is done isn't known.
    if (writes) tell_writing(call, static_cast<int>(request->aio_fildes), {.maps = true});
  }
  return Outcome::as_is();
}

}  // namespace viewsh
