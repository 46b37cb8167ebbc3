#pragma once

#include <deque>
#include <memory>
#include <string>

#include "viewsh/device.h"
#include "viewsh/filesystem.h"

namespace viewsh {

/// One device node as a file system: what is mounted at the device's path.
class DeviceFs : public FileSystem {
 public:
  explicit DeviceFs(std::unique_ptr<Device> device);
  Device& device() { return *device_; }
  std::string_view type() const override { return "device"; }
  Result<Found> resolve(const std::string&, std::string_view rest, ResolveFlags,
                        const Caller&) override;
  Result<Attr> getattr(const std::string&) override;
  Result<std::vector<DirEntry>> list(const std::string&) override { return Errno(ENOTDIR); }
  std::optional<std::string> reverse(const std::string&) override { return std::nullopt; }
  /// An open object that stands for the device: what fstat(2) shows is the node.
  bool fix_attr(Attr* attr) override;
  bool fixes_attr() const override { return !objects_.empty(); }
  bool mark_attr(AttrMarks* marks) override;
  /// Is this (of STATX_BASIC_STATS and STATX_BTIME) an object that an open of the device gave?
  bool stands_for_device(const Attr& object) const;
  Result<OpenPlan> plan_open(const std::string&, const OpenHow& how, const Caller&) override;
  void opened(const std::string&, const OpenPlan&, bool) override {}
  Result<void> mkdir(const std::string&, mode_t, const Caller&) override { return Errno(EEXIST); }
  Result<void> mknod(const std::string&, mode_t, dev_t, const Caller&) override {
    return Errno(EEXIST);
  }
  Result<void> symlink(const std::string&, const std::string&, const Caller&) override {
    return Errno(EEXIST);
  }
  Result<void> link(const std::string&, const std::string&, const Caller&) override {
    return Errno(EXDEV);
  }
  Result<void> link_host(const std::string&, const std::string&, const Caller&) override {
    return Errno(EEXIST);
  }
  Result<void> unlink(const std::string&, const Caller&) override { return Errno(EBUSY); }
  Result<void> rmdir(const std::string&, const Caller&) override { return Errno(ENOTDIR); }
  Result<void> rename(const std::string&, const std::string&, unsigned, const Caller&) override {
    return Errno(EBUSY);
  }
  Result<void> setattr(const std::string&, const SetAttr&, const Caller&) override {
    return Errno(EPERM);
  }
  Result<void> setxattr(const std::string&, const std::string&, std::string_view, int,
                        const Caller&) override {
    return Errno(EOPNOTSUPP);
  }
  Result<void> removexattr(const std::string&, const std::string&, const Caller&) override {
    return Errno(EOPNOTSUPP);
  }
  Result<std::string> watch(const std::string&, const Caller&) override { return Errno(ENOSYS); }

 private:
  /// What tells one host object from every other, also from one that gets its inode number later.
  struct Object {
    uint32_t major = 0;
    uint32_t minor = 0;
    uint64_t inode = 0;
    uint16_t type = 0;
    int64_t born_seconds = 0;
    uint32_t born_nanoseconds = 0;
    bool operator==(const Object&) const = default;
  };
  static Object object_of(const Attr& attr);
  void remember(const std::string& host);

  static constexpr size_t kMaxObjects = 4096;
  std::unique_ptr<Device> device_;
  uint64_t inode_;
  AttrMarks* marks_ = nullptr;  ///< who hears of new objects
  std::deque<Object> objects_;  ///< oldest first; a device of the host itself needs none
};

}  // namespace viewsh
