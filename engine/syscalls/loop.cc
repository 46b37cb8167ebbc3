#include "syscalls/loop.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "viewsh/long_path.h"

namespace viewsh {

namespace {

constexpr uint32_t kLoopMajor = 7;
/// The host's own are below: what /sys tells of them isn't about ours.
constexpr int kFirst = 256;
constexpr uint64_t kSector = 512;

LoopDevice* loop_of(const std::shared_ptr<DeviceFs>& device) {
  return dynamic_cast<LoopDevice*>(&device->device());
}

/// Puts the next device into the view's /dev.
int make_device(Session& session) {
  int number = kFirst;
  for (const auto& device : session.devices) {
    const LoopDevice* loop = loop_of(device);
    if (loop != nullptr) number = std::max(number, loop->number() + 1);
  }
  auto fs = std::make_shared<DeviceFs>(std::make_unique<LoopDevice>(number));
  auto mount = std::make_shared<Mount>();
  mount->at = loop_path(number);
  mount->fs = fs;
  mount->type = "device";
  mount->source = "loop";
  mount->internal = true;
  mount->id = session.mounter->next_id();
  session.devices.push_back(fs);
  session.change_table(session.view->with(
      mount, MountName{"loop" + std::to_string(number), false, NodeType::kBlock}));
  if (session.mounted) session.mounted(*mount);
  return number;
}

long free_device(Session& session) {
  for (const auto& device : session.devices) {
    LoopDevice* loop = loop_of(device);
    if (loop == nullptr || loop->number() == LoopDevice::kControl) continue;
    if (loop->bound() && !loop->bound()->ended) continue;
    loop->bound().reset();
    return loop->number();
  }
  return make_device(session);
}

Result<void> bind_file(Call& call, LoopDevice& loop, uint32_t fd, const loop_info64& info) {
  if (loop.bound() && !loop.bound()->ended) return Errno(EBUSY);
  TRY_ASSIGN(Walked walked, call.walk_fd(static_cast<int>(fd), true));
  if (!Call::shown(walked)) return Errno(EBADF);
  TRY_ASSIGN(const Attr attr, walked.fs_mutable().getattr(walked.path));
  if (!S_ISREG(attr.stx_mode) && !S_ISBLK(attr.stx_mode)) return Errno(EINVAL);
  if (info.lo_encrypt_type != LO_CRYPT_NONE) return Errno(EINVAL);
  // lo_configure(): who can't write to the file doesn't get to it by the device.
  struct stat how {};
  const bool writable =
      lstat(call.fd_path(static_cast<int>(fd)).c_str(), &how) == 0 && (how.st_mode & S_IWUSR) != 0;
  const uint32_t flags = info.lo_flags | (writable ? 0U : uint32_t{LO_FLAGS_READ_ONLY});
  const auto* name = reinterpret_cast<const char*>(info.lo_file_name);
  loop.bound() = {walked.mount,
                  walked.path,
                  walked.view_path,
                  info.lo_offset,
                  info.lo_sizelimit,
                  flags,
                  std::string(name, strnlen(name, LO_NAME_SIZE)),
                  false};
  return {};
}

Result<void> configure(Call& call, LoopDevice& loop, uint64_t argument) {
  TRY_ASSIGN(const auto config, call.memory().get<loop_config>(argument));
  return bind_file(call, loop, config.fd, config.info);
}

Result<void> set_status(Call& call, LoopDevice& loop, uint64_t argument) {
  TRY_ASSIGN(const auto info, call.memory().get<loop_info64>(argument));
  LoopDevice::Bound& bound = *loop.bound();
  bound.offset = info.lo_offset;
  bound.limit = info.lo_sizelimit;
  constexpr uint32_t kSettable = LO_FLAGS_AUTOCLEAR | LO_FLAGS_PARTSCAN;
  bound.flags = (bound.flags & ~kSettable) | (info.lo_flags & kSettable);
  const auto* name = reinterpret_cast<const char*>(info.lo_file_name);
  bound.name.assign(name, strnlen(name, LO_NAME_SIZE));
  return {};
}

Result<void> get_status(Call& call, const LoopDevice::Bound& bound, int number, uint64_t argument) {
  TRY_ASSIGN(const Attr attr, bound.mount->fs->getattr(bound.path));
  loop_info64 info{};
  info.lo_device = makedev(attr.stx_dev_major, attr.stx_dev_minor);
  info.lo_inode = attr.stx_ino;
  info.lo_offset = bound.offset;
  info.lo_sizelimit = bound.limit;
  info.lo_number = static_cast<uint32_t>(number);
  info.lo_flags = bound.flags;
  bound.name.copy(reinterpret_cast<char*>(info.lo_file_name), LO_NAME_SIZE - 1);
  return call.memory().put(argument, info);
}

/// get_size() of drivers/block/loop.c: whole sectors of what is shown.
Result<uint64_t> size_of(const LoopDevice::Bound& bound) {
  TRY_ASSIGN(const Attr attr, bound.mount->fs->getattr(bound.path));
  if (bound.offset > attr.stx_size) return uint64_t{0};
  uint64_t size = attr.stx_size - bound.offset;
  if (bound.limit != 0) size = std::min(size, bound.limit);
  return size / kSector * kSector;
}

Result<void> block_ioctl(Call& call, const LoopDevice::Bound& bound, unsigned request,
                         uint64_t argument) {
  TRY_ASSIGN(const uint64_t size, size_of(bound));
  switch (request) {
    case BLKGETSIZE64:
      return call.memory().put(argument, size);
    case BLKGETSIZE:
      return call.memory().put(argument, static_cast<unsigned long>(size / kSector));
    case BLKSSZGET:
      return call.memory().put(argument, static_cast<int>(kSector));
    case BLKROGET:
      return call.memory().put(argument, (bound.flags & LO_FLAGS_READ_ONLY) != 0 ? 1 : 0);
    case BLKFLSBUF:
      return {};
    default:
      return Errno(ENOTTY);
  }
}

/// Holes stay holes.
Result<void> copy_beginning(const LoopDevice::Bound& bound, int to) {
  TRY_ASSIGN(const uint64_t size, size_of(bound));
  const OpenHow how{O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, NodeType::kRegular};
  const Caller self{geteuid(), getegid(), {}, 022};
  TRY_ASSIGN(const OpenPlan plan, bound.mount->fs->plan_open(bound.path, how, self));
  const UniqueFd from(::open(LongPath(plan.host).c_str(), plan.flags | how.flags));
  const Errno failed = Errno::last();
  if (plan.notify) bound.mount->fs->opened(bound.path, plan, from.valid());
  if (!from) return failed;
  const auto end = static_cast<off_t>(bound.offset + std::min(size, LoopDevice::kReadable));
  const auto begin = static_cast<off_t>(bound.offset);
  TRY(from_libc(ftruncate(to, end - begin)));
  std::vector<char> block(size_t{1} << 20);
  off_t at = lseek(from.get(), begin, SEEK_DATA);
  while (at >= 0 && at < end) {
    const auto most = static_cast<size_t>(std::min<off_t>(end - at, 1 << 20));
    const ssize_t n = pread(from.get(), block.data(), most, at);
    if (n < 0) return Errno::last();
    if (n == 0) break;
    if (pwrite(to, block.data(), static_cast<size_t>(n), at - begin) != n) return Errno::last();
    at = lseek(from.get(), at + n, SEEK_DATA);
  }
  return {};
}

bool is_mounted(const Session& session, int number) {
  const auto& late = session.late;
  return std::any_of(late.begin(), late.end(),
                     [&](const auto& mount) { return mount->source == loop_path(number); });
}

Outcome control_ioctl(Call& call, unsigned request) {
  if (request != LOOP_CTL_GET_FREE) return Outcome::error(ENOTTY);
  return Outcome::result(free_device(call.session()));
}

}  // namespace

std::string loop_path(int number) {
  return number == LoopDevice::kControl ? "/dev/loop-control"
                                        : "/dev/loop" + std::to_string(number);
}

LoopDevice* loop_at(FileSystem& fs) {
  auto* node = dynamic_cast<DeviceFs*>(&fs);
  return node == nullptr ? nullptr : dynamic_cast<LoopDevice*>(&node->device());
}

Attr LoopDevice::attr() const {
  Attr out{};
  const bool control = number_ == kControl;
  out.stx_mask = STATX_BASIC_STATS;
  out.stx_mode = static_cast<uint16_t>((control ? S_IFCHR : S_IFBLK) | 0660);
  out.stx_nlink = 1;
  out.stx_uid = geteuid();
  out.stx_gid = getegid();
  out.stx_rdev_major = control ? 10 : kLoopMajor;
  out.stx_rdev_minor = control ? 237 : static_cast<uint32_t>(number_);
  return out;
}

/// Every open has an object of the device's own, by which the descriptor is known; sealed, so that
/// nothing is written to nowhere.
Result<std::string> LoopDevice::open(int flags) {
  UniqueFd object(memfd_create("viewsh-loop", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!object) return Errno::last();
  if (bound_ && !bound_->ended && (flags & O_ACCMODE) == O_RDONLY && (flags & O_PATH) == 0)
    TRY(copy_beginning(*bound_, object.get()));
  TRY(from_libc(
      fcntl(object.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)));
  object_ = std::move(object);
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(object_.get());
}

Outcome loop_ioctl(Call& call, LoopDevice& loop, unsigned request, uint64_t argument) {
  if (loop.number() == LoopDevice::kControl) return control_ioctl(call, request);
  if (request == LOOP_CONFIGURE) return Outcome::of(configure(call, loop, argument));
  if (request == LOOP_SET_FD) {
    return Outcome::of(bind_file(call, loop, static_cast<uint32_t>(argument), {}));
  }
  if (!loop.bound() || (loop.bound()->ended && request != LOOP_CLR_FD))
    return Outcome::error(ENXIO);
  switch (request) {
    case LOOP_CLR_FD:
      // As on Linux: what is mounted goes on, and the device is free when that ends.
      if (is_mounted(call.session(), loop.number())) {
        loop.bound()->flags |= LO_FLAGS_AUTOCLEAR;
      } else {
        loop.bound().reset();
      }
      return Outcome::result(0);
    case LOOP_SET_STATUS64:
      return Outcome::of(set_status(call, loop, argument));
    case LOOP_GET_STATUS64:
      return Outcome::of(get_status(call, *loop.bound(), loop.number(), argument));
    default:
      return Outcome::of(block_ioctl(call, *loop.bound(), request, argument));
  }
}

void release_loop(Session& session, const std::string& source) {
  for (const auto& device : session.devices) {
    LoopDevice* loop = loop_of(device);
    if (loop == nullptr || !loop->bound() || loop_path(loop->number()) != source) continue;
    const bool clears = (loop->bound()->flags & LO_FLAGS_AUTOCLEAR) != 0;
    if (clears && !is_mounted(session, loop->number())) loop->bound()->ended = true;
  }
}

}  // namespace viewsh
