#include "vfs/device_fs.h"

#include <fcntl.h>

#include <algorithm>

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

DeviceFs::Object DeviceFs::object_of(const Attr& attr) {
  return {attr.stx_dev_major,    attr.stx_dev_minor,
          attr.stx_ino,          static_cast<uint16_t>(attr.stx_mode & S_IFMT),
          attr.stx_btime.tv_sec, attr.stx_btime.tv_nsec};
}

void DeviceFs::remember(const std::string& host) {
  Attr attr{};
  if (statx(AT_FDCWD, host.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &attr) < 0) return;
  // A device of the host answers for itself.
  if (S_ISCHR(attr.stx_mode) || S_ISBLK(attr.stx_mode)) return;
  Object object = object_of(attr);
  if (std::find(objects_.begin(), objects_.end(), object) != objects_.end()) return;
  if (objects_.size() >= kMaxObjects) objects_.pop_front();
  objects_.push_back(object);
  if (marks_ != nullptr) marks_->mark(object.inode);
}

bool DeviceFs::mark_attr(AttrMarks* marks) {
  marks_ = marks;
  for (const Object& object : objects_) marks->mark(object.inode);
  return true;
}

bool DeviceFs::stands_for_device(const Attr& object) const {
  return !objects_.empty() &&
         std::find(objects_.begin(), objects_.end(), object_of(object)) != objects_.end();
}

bool DeviceFs::fix_attr(Attr* attr) {
  if (!stands_for_device(*attr)) return false;
  Result<Attr> node = getattr("");
  if (!node.ok()) return false;
  *attr = *node;
  return true;
}

Result<OpenPlan> DeviceFs::plan_open(const std::string&, const OpenHow& how, const Caller&) {
  TRY_ASSIGN(std::string host, device_->open(how.flags));
  remember(host);
  return OpenPlan{std::move(host), how.flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW | O_TRUNC), how.mode,
                  false};
}

}  // namespace viewsh
