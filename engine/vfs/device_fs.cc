#include "vfs/device_fs.h"

#include <fcntl.h>

namespace viewsh {

namespace {

constexpr uint32_t kDevice = 0xfff00;
uint64_t last_inode = 1;

}  // namespace

DeviceFs::DeviceFs(std::unique_ptr<Device> device)
    : device_(std::move(device)), inode_(++last_inode) {}

Result<Found> DeviceFs::resolve(const std::string&, std::string_view rest, ResolveFlags,
                                const Caller&) {
  if (!rest.empty()) return Errno(ENOTDIR);
  Found found;
  found.exists = true;
  found.attr_virtual = true;
  found.type = type_of_mode(device_->attr().stx_mode);
  return found;
}

Result<Attr> DeviceFs::getattr(const std::string&) {
  Attr attr = device_->attr();
  // A file system of its own: an anonymous device number, and never the inode 0 that readdir skips.
  attr.stx_dev_major = 0;
  attr.stx_dev_minor = kDevice;
  attr.stx_ino = inode_;
  attr.stx_mask |= STATX_INO;
  if (attr.stx_nlink == 0) attr.stx_nlink = 1;
  return attr;
}

Result<OpenPlan> DeviceFs::plan_open(const std::string&, const OpenHow& how, const Caller&) {
  TRY_ASSIGN(std::string host, device_->open(how.flags));
  return OpenPlan{std::move(host), how.flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW | O_TRUNC), how.mode, false};
}

}  // namespace viewsh
