#include <linux/fs.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "syscalls/file_flags.h"
#include "syscalls/fuse_device.h"
#include "syscalls/handlers.h"
#include "syscalls/loop.h"
#include "syscalls/writing.h"

namespace viewsh {

namespace {

/// The view's device that a descriptor is open on; null: none.
Device* device_of(Call& call, int fd) {
  const auto& devices = call.session().devices;
  bool opened = std::any_of(devices.begin(), devices.end(),
                            [](const auto& one) { return one->fixes_attr(); });
  if (!opened) return nullptr;
  Attr object{};
  if (statx(AT_FDCWD, call.fd_path(fd).c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &object) < 0)
    return nullptr;
  auto it = std::find_if(devices.begin(), devices.end(),
                         [&](const auto& one) { return one->stands_for_device(object); });
  return it == devices.end() ? nullptr : &(*it)->device();
}

/// Requests about the descriptor, not about what it is open on. fs/ioctl.c, do_vfs_ioctl
bool is_of_descriptor(unsigned request) {
  return request == FIOCLEX || request == FIONCLEX || request == FIONBIO || request == FIOASYNC;
}

/// Requests that change an inode although the descriptor is open for reading only.
bool changes_inode(unsigned request) {
  return request == FS_IOC_SETFLAGS || request == FS_IOC_SETVERSION || request == FS_IOC_FSSETXATTR;
}

Outcome ask_device(Call& call, Device& device, unsigned request, uint64_t argument) {
  constexpr size_t kWithoutSize = 8;
  size_t size = _IOC_SIZE(request) == 0 ? kWithoutSize : _IOC_SIZE(request);
  std::string block(size, '\0');
  // An argument may be no address at all, and an int may stand where the request speaks of a long:
  // what can be read is given.
  Result<size_t> n = call.memory().read_some(argument, block.data(), size);
  bool needed = (_IOC_DIR(request) & _IOC_WRITE) != 0;
  if (needed && (!n.ok() || *n == 0)) return Outcome::error(EFAULT);
  std::string before = block;
  Result<long> answer = device.ioctl(request, &block);
  if (!answer.ok()) return Outcome::error(answer.error());
  // Only as far as the device wrote: behind an int may lie something else.
  size_t written = std::min(block.size(), size);
  while (written > 0 && n.ok() && block[written - 1] == before[written - 1]) --written;
  bool reads = _IOC_SIZE(request) == 0 ? block != before : (_IOC_DIR(request) & _IOC_READ) != 0;
  if (!reads) return Outcome::result(*answer);
  Result<void> put = call.memory().write(argument, block.data(), written);
  return put.ok() ? Outcome::result(*answer) : Outcome::error(put.error());
}

}  // namespace

Outcome sys_ioctl(Call& call, Fd fd, unsigned request, uint64_t argument) {
  if (is_of_descriptor(request) || call.is_path_only(fd.value)) return Outcome::as_is();
  if (Device* device = device_of(call, fd.value)) {
    if (auto* loop = dynamic_cast<LoopDevice*>(device))
      return loop_ioctl(call, *loop, request, argument);
    return ask_device(call, *device, request, argument);
  }
  if (auto answer = fuse_ioctl(call, fd.value, request, argument)) return std::move(*answer);
  if (auto answer = flags_ioctl(call, fd.value, request, argument)) return std::move(*answer);
  if (std::find(std::begin(kWritingRequests), std::end(kWritingRequests), request) !=
      std::end(kWritingRequests))
    tell_writing(call, fd.value, {});
  if (!changes_inode(request)) return Outcome::as_is();
  Result<Walked> walked = call.walk_fd(fd.value, true);
  if (!Call::shown(walked)) return call.unshown(fd.value);
  bool in_place = walked->found.in_place && call.is_open_on(fd.value, *walked);
  if (walked->native() || in_place) return Outcome::as_is();
  return Outcome::error(walked->fs().read_only() ? EROFS : EOPNOTSUPP);
}

}  // namespace viewsh
