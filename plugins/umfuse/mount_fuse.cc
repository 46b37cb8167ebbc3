#include "mount_fuse.h"

#include <unistd.h>

#include <charconv>

#include "call_wait.h"
#include "device_number.h"
#include "fuse_image.h"
#include "locked_fs.h"
#include "writable_fs.h"

namespace viewsh {
namespace {

/// The image of a server, and what the engine does for its connection.
class ServedImage final : public WritableImageFs {
 public:
  ServedImage(std::shared_ptr<MountedImage> image, FuseImage& served, Suspension* suspension)
      : WritableImageFs(std::move(image), served.root()),
        served_(served),
        suspension_(suspension) {}
  ~ServedImage() override { leave(); }

  /// Tells of replies from now on.
  Result<void> enter() {
    FuseChannel& channel = served_.channel();
    return suspension_->watch(channel.fd(), [this, &channel] {
      channel.pump();
      suspension_->want_write(channel.fd(), channel.wants_write());
      if (channel.dead()) leave();  // or its end is told of for ever
      suspension_->wake(&channel);
    });
  }
  /// Until the server answers the root is what mount(2) was told: it asks for that itself, before the
  /// server can. fuse_fill_super_common() of fs/fuse/inode.c
  Result<Attr> getattr(const std::string& path) override {
    if (!path.empty() || served_.session().answered()) return WritableImageFs::getattr(path);
    Attr attr{};
    attr.stx_mask = STATX_BASIC_STATS;
    attr.stx_mode = static_cast<uint16_t>(served_.session().options().rootmode);
    attr.stx_nlink = 1;
    attr.stx_ino = served_.root();
    attr.stx_uid = served_.session().who().uid;
    attr.stx_gid = served_.session().who().gid;
    attr.stx_dev_minor = mounted().minor;
    return attr;
  }
  Result<void> shutdown() override {
    const Result<void> done = WritableImageFs::shutdown();
    leave();
    return done;
  }

 private:
  void leave() {
    if (!left_) suspension_->unwatch(served_.channel().fd());
    left_ = true;
  }

  FuseImage& served_;
  Suspension* suspension_;
  bool left_ = false;
};

/// Of the options of mount.fuse3(8) those that are the kernel's. False: a value that can't be.
bool read_options(const std::map<std::string, std::string>& options, FuseOptions* out) {
  for (const auto& [key, value] : options) {
    const char* end = value.data() + value.size();
    if (key == "rootmode") {
      uint32_t mode = 0;
      const auto [stop, error] = std::from_chars(value.data(), end, mode, 8);
      if (error != std::errc() || stop != end) return false;
      out->rootmode = mode;
    } else if (key == "max_read") {
      const auto [stop, error] = std::from_chars(value.data(), end, out->max_read);
      if (error != std::errc() || stop != end) return false;
    }
  }
  return true;
}

}  // namespace

std::shared_ptr<FileSystem> mount_fuse(const MountRequest& request, Host& host, MountError* error) {
  Suspension* suspension = host.suspension();
  if (!request.connection || suspension == nullptr) {
    *error = {Errno(EINVAL), "a server mounts it itself"};
    return nullptr;
  }
  FuseOptions options;
  if (!read_options(request.options, &options)) {
    *error = {Errno(EINVAL), "an option's value can't be"};
    return nullptr;
  }
  auto image = std::make_unique<FuseImage>(std::move(*request.connection),
                                           std::make_unique<CallWait>(suspension), options);
  FuseImage& served = *image;
  served.set_who({geteuid(), getegid(), 0});
  ImageStage::Limits limits;
  limits.writable = true;  // where it is mounted read-only, the mount table sees to that
  auto mounted = std::make_shared<MountedImage>(
      nullptr, std::move(image), host, device_number({&request.type, &request.at}), limits);
  auto fs = std::make_shared<ServedImage>(std::move(mounted), served, suspension);
  if (const Result<void> entered = fs->enter(); !entered) {
    *error = {entered.error(), entered.error().message()};
    return nullptr;
  }
  return std::make_shared<LockedFs>(std::move(fs), std::make_shared<CallLock>(suspension), false);
}

}  // namespace viewsh
