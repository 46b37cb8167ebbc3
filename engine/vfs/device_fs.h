#pragma once

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
  bool fix_attr(Attr*) override { return false; }
  bool fixes_attr() const override { return false; }
  Result<OpenPlan> plan_open(const std::string&, const OpenHow& how, const Caller&) override;
  void opened(const std::string&, const OpenPlan&, bool) override {}
  Result<void> mkdir(const std::string&, mode_t, const Caller&) override { return Errno(EEXIST); }
  Result<void> mknod(const std::string&, mode_t, dev_t, const Caller&) override { return Errno(EEXIST); }
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
  Result<std::string> watch(const std::string&, const Caller&) override { return Errno(ENOENT); }

 private:
  std::unique_ptr<Device> device_;
  uint64_t inode_;
};

}  // namespace viewsh
