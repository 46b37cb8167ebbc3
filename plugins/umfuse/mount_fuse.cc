#include "mount_fuse.h"

#include <unistd.h>

#include <charconv>

#include "call_wait.h"
#include "device_number.h"
#include "fuse_image.h"
#include "locked_fs.h"
#include "viewsh/close_listener.h"
#include "writable_fs.h"

namespace viewsh {
namespace {

/// The image of a server, and what the engine does for its connection.
class ServedImage final : public WritableImageFs {
 public:
  ServedImage(std::shared_ptr<MountedImage> image, FuseImage& served, Suspension* suspension)
      : WritableImageFs(std::move(image), served.root()), served_(served), suspension_(suspension) {
    served_.keep([this](NodeId node) { return uses(node); });
  }
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
  /// Until the server answers the root is what mount(2) was told: it asks for that itself, before
  /// the server can. fuse_fill_super_common() of fs/fuse/inode.c
  Result<Attr> getattr(const std::string& path) override {
    if (!path.empty() || served_.session().answered()) {
      TRY_ASSIGN(const Attr attr, WritableImageFs::getattr(path));
      if (const auto node = find(path)) follow(node->id);
      return attr;
    }
    return root_attr();
  }
  /// The way to the root, or through it, asks nothing: a mount whose server is gone can be taken
  /// away.
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override {
    if (!is_root(base, rest)) return WritableImageFs::resolve(base, rest, flags, caller);
    TRY_ASSIGN(const Node root, find(""));
    return found(root, root_attr());
  }
  static bool is_root(const std::string& base, std::string_view rest) {
    return base.empty() && rest.empty();
  }
  /// Who has a file open, and looks whether there is more of it, is to be able to read that.
  bool fix_attr(Attr* attr) override {
    const auto node = stage().node_of(*attr);
    const bool fixed = WritableImageFs::fix_attr(attr);
    if (node) follow(*node);
    return fixed;
  }
  using WritableImageFs::closed;
  using WritableImageFs::closing;
  using WritableImageFs::has_closed;
  /// Nothing is lost by ending what has lost its server already.
  Result<void> shutdown() override {
    const bool gone = served_.channel().dead();
    const Result<void> done = WritableImageFs::shutdown();
    leave();
    return done || gone ? Result<void>() : done;
  }

 private:
  Attr root_attr() const {
    Attr attr{};
    attr.stx_mask = STATX_BASIC_STATS | kOwnOwners;
    attr.stx_mode = static_cast<uint16_t>(served_.session().options().rootmode);
    attr.stx_nlink = 1;
    attr.stx_ino = served_.root();
    attr.stx_uid = served_.session().who().uid;
    attr.stx_gid = served_.session().who().gid;
    attr.stx_dev_minor = mounted().minor;
    return attr;
  }
  bool uses(NodeId node) {
    const MountedImage& image = mounted();
    const bool open = image.open.count(node) != 0 || image.unconfirmed.count(node) != 0 ||
                      image.nameless.count(node) != 0;
    if (open || !stage().let_go(node)) return true;
    mounted().places.erase(node);
    return false;
  }
  void leave() {
    if (!left_) suspension_->unwatch(served_.channel().fd());
    left_ = true;
  }

  FuseImage& served_;
  Suspension* suspension_;
  bool left_ = false;
};

/// As the mount table has it.
class ServedFs final : public LockedFs, public CloseListener {
 public:
  /// `free`: everybody may do anything here.
  ServedFs(std::shared_ptr<ServedImage> image, std::shared_ptr<ImageLock> lock, bool free)
      : LockedFs(image, std::move(lock), free), image_(*image) {}
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override {
    if (!ServedImage::is_root(base, rest)) return LockedFs::resolve(base, rest, flags, caller);
    return brief([&] { return image_.resolve(base, rest, flags, caller); });
  }
  /// The server syncs files of its own while somebody waits for it: that is no call of ours.
  Result<void> sync_names(const std::string& host) override {
    if (host.empty() || !brief([&] { return image_.reverse(host); })) return {};
    return LockedFs::sync_names(host);
  }
  /// Most descriptors are of others: that is found without the lock.
  Result<bool> closing(const std::string& host) override {
    if (!brief([&] { return image_.reverse(host); })) return false;
    return locked([&] { return image_.closing(host); });
  }
  void closed(const std::string& host) override {
    if (brief([&] { return image_.has_closed(host); })) locked([&] { image_.closed(host); });
  }

 private:
  ServedImage& image_;
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
  options.destroys = request.options.count("fuseblk") != 0;
  // Else what is allowed is the server's business alone. fuse_permission() of fs/fuse/dir.c
  options.checked = request.options.count("default_permissions") != 0;
  auto image = std::make_unique<FuseImage>(std::move(*request.connection),
                                           std::make_unique<CallWait>(suspension), options);
  FuseImage& served = *image;
  served.channel().leave_end();  // the engine tells the server
  const Credentials* as = host.credentials();
  served.set_who({as != nullptr ? as->fsuid : geteuid(), as != nullptr ? as->fsgid : getegid(), 0});
  ImageStage::Limits limits;
  limits.writable = true;  // where it is mounted read-only, the mount table sees to that
  limits.as_root = !options.checked;
  auto mounted = std::make_shared<MountedImage>(
      nullptr, std::move(image), host, device_number({&request.type, &request.at}), limits);
  auto fs = std::make_shared<ServedImage>(std::move(mounted), served, suspension);
  if (const Result<void> entered = fs->enter(); !entered) {
    *error = {entered.error(), entered.error().message()};
    return nullptr;
  }
  return std::make_shared<ServedFs>(std::move(fs), std::make_shared<CallLock>(suspension),
                                    !options.checked);
}

}  // namespace viewsh
