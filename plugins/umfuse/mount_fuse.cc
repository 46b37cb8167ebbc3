#include "mount_fuse.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <utility>

#include "call_wait.h"
#include "device_number.h"
#include "fuse_image.h"
#include "fuse_relay.h"
#include "locked_fs.h"
#include "viewsh/close_listener.h"
#include "viewsh/served.h"
#include "viewsh/shared_connection.h"
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
    return suspension_->watch(channel.fd(), [this] { hear(); });
  }
  /// Its server is, as of now.
  bool is_gone() {
    if (!is_dead()) hear();
    return is_dead();
  }
  /// Until the server answers the root is what mount(2) was told: it asks for that itself, before
  /// the server can. fuse_fill_super_common() of fs/fuse/inode.c
  Result<Attr> getattr(const std::string& path) override {
    if (!path.empty() || served_.session().answered()) {
      TRY_ASSIGN(const Attr attr, WritableImageFs::getattr(path));
      if (path.empty()) stage().complete_object(top());
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
    Found root;
    root.type = type_of_mode(root_attr().stx_mode);
    root.exists = root.attr_virtual = true;
    root.list_virtual = root.type == NodeType::kDirectory;
    if (root.type == NodeType::kRegular) return WritableImageFs::resolve(base, rest, flags, caller);
    TRY_ASSIGN(root.host, stage().bare_object(top(), root_attr()));
    return root;
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
  using WritableImageFs::only_notes;
  /// Who syncs takes what was changed so far with him: who comes then waits until it is there.
  Result<void> sync_names(const std::string& host) override {
    TRY_ASSIGN(const NodeGates::Hold alone, gate(0, NodeGates::kSync, false));
    return WritableImageFs::sync_names(host);
  }
  Result<void> sync_all() override {
    TRY_ASSIGN(const NodeGates::Hold alone, gate(0, NodeGates::kSync, false));
    return WritableImageFs::sync_all();
  }
  /// Two who ask at once would both be promised the same room.
  uint64_t reserve(uint64_t bytes) override {
    if (has_room(bytes)) return WritableImageFs::reserve(bytes);
    const auto alone = gate(0, NodeGates::kRoom, false);
    return alone ? WritableImageFs::reserve(bytes) : 0;
  }
  bool has_room(uint64_t bytes) const { return mounted().pending->has_room(bytes); }
  bool is_dead() const { return served_.channel().dead(); }
  bool unwritten() const { return mounted().pending->count() != 0; }
  /// What the kernel would have written through.
  void write_back() {
    PendingContent& pending = *mounted().pending;
    for (const NodeId node : pending.written_since()) {
      const auto stays = mounted().planned.insert(node);
      // Who closes it is told of an error.
      (void)pending.write_back(node);
      mounted().planned.erase(stays);
    }
  }
  /// The view that the server lives in asks it, too.
  Result<void> share(UniqueFd other) {
    TRY(from_libc(::fcntl(other.get(), F_SETFL, O_NONBLOCK)));
    auto relay =
        std::make_shared<FuseRelay>(std::move(other), served_.channel(), served_.session());
    TRY(suspension_->watch(relay->fd(), [this] { pump_relay(); }));
    served_.channel().also_notify([weak = std::weak_ptr(relay)](std::string_view packet) {
      if (const auto to = weak.lock()) to->notified(packet);
    });
    relay_ = std::move(relay);
    return {};
  }
  void abort() {
    served_.channel().shut();
    leave();
    suspension_->wake(&served_.channel());
  }
  /// Nothing is lost by ending what has lost its server already.
  Result<void> shutdown() override {
    const bool gone = served_.channel().dead();
    const Result<void> done = WritableImageFs::shutdown();
    leave();
    suspension_->wake(&served_.channel());
    const bool lost = !done && (done.error() == ECONNABORTED || done.error() == ENOTCONN);
    return gone || lost ? Result<void>() : done;
  }

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

 private:
  void hear() {
    FuseChannel& channel = served_.channel();
    channel.pump();
    if (!left_) suspension_->want_write(channel.fd(), channel.wants_write());
    if (channel.dead()) leave();  // or its end is told of for ever
    suspension_->wake(&channel);
    pump_relay();
  }
  void pump_relay() {
    if (relay_ == nullptr) return;
    relay_->pump();
    if (relay_->ended()) return leave_relay();
    suspension_->want_write(relay_->fd(), relay_->wants_write());
    // What it was asked may not have been taken yet.
    if (!left_) suspension_->want_write(served_.channel().fd(), served_.channel().wants_write());
  }
  void leave_relay() {
    if (relay_ == nullptr) return;
    relay_->end();
    suspension_->unwatch(relay_->fd());
    relay_.reset();
  }
  bool uses(NodeId node) {
    const MountedImage& image = mounted();
    const bool open = image.open.count(node) != 0 || image.unconfirmed.count(node) != 0 ||
                      image.nameless.count(node) != 0 || image.planned.count(node) != 0;
    if (open || !stage().let_go(node)) return true;
    mounted().places.erase(node);
    return false;
  }
  void leave() {
    if (!left_) suspension_->unwatch(served_.channel().fd());
    left_ = true;
    leave_relay();
  }

  FuseImage& served_;
  Suspension* suspension_;
  bool left_ = false;
  std::shared_ptr<FuseRelay> relay_;
};

/// As the mount table has it.
class ServedFs final : public LockedFs,
                       public CloseListener,
                       public Served,
                       public SharedConnection {
 public:
  /// `free`: everybody may do anything here.
  ServedFs(std::shared_ptr<ServedImage> image, std::shared_ptr<CallLock> lock, bool free)
      : LockedFs(image, lock, free), image_(*image), call_lock_(std::move(lock)) {}
  /// The way to the root asks nothing.
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override {
    if (ServedImage::is_root(base, rest)) return image_.resolve(base, rest, flags, who(caller));
    return LockedFs::resolve(base, rest, flags, caller);
  }
  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override {
    // Of a directory nothing else is asked then.
    if ((how.flags & O_PATH) == 0 && image_.is_gone()) return Errno(ENOTCONN);
    return LockedFs::plan_open(path, how, caller);
  }
  void opened(const std::string& path, const OpenPlan& plan, bool success) override {
    if (success && image_.only_notes(plan)) return image_.opened(path, plan, success);
    LockedFs::opened(path, plan, success);
  }
  uint64_t reserve(uint64_t bytes) override {
    return image_.has_room(bytes) ? image_.reserve(bytes) : LockedFs::reserve(bytes);
  }
  /// The server syncs files of its own while somebody waits for it: that is no call of ours.
  Result<void> sync_names(const std::string& host) override {
    if (host.empty() || !image_.reverse(host)) return {};
    return LockedFs::sync_names(host);
  }
  /// Whoever closes it has it open still, so the node stays, whatever others do: this waits for
  /// none of them, as one of them may wait for who closes.
  Result<bool> closing(const std::string& host) override {
    return image_.reverse(host) ? image_.closing(host) : Result<bool>(false);
  }
  void closed(const std::string& host) override {
    if (!image_.has_closed(host)) return;
    if (!host.empty()) return locked([&] { image_.closed(host); });
    again_ = true;
    // One that waits for the server does it for all.
    if (std::exchange(ending_, true)) return;
    ++unasked_;
    while (std::exchange(again_, false)) locked([&] { image_.closed(""); });
    --unasked_;
    ending_ = false;
  }

  /// What is done still is done first.
  Result<void> shutdown() override {
    const std::shared_ptr<CallLock> kept = call_lock_;
    kept->lock_alone();
    const Result<void> done = image_.shutdown();
    kept->unlock_alone();
    return done;
  }
  Result<void> share(UniqueFd other) override { return image_.share(std::move(other)); }
  void abort() override { image_.abort(); }
  /// Where nobody answers they end by themselves.
  bool busy() const override { return !image_.is_dead() && call_lock_->users() > unasked_; }
  Attr root() const override { return image_.root_attr(); }
  bool unwritten() const override { return image_.unwritten(); }
  void write_back() override {
    if (std::exchange(writing_, true)) return;
    image_.write_back();
    writing_ = false;
    closed("");
  }

 private:
  ServedImage& image_;
  std::shared_ptr<CallLock> call_lock_;
  size_t unasked_ = 0;  ///< calls that are no task's
  bool ending_ = false;
  bool again_ = false;
  bool writing_ = false;
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
  mounted->share(suspension);
  auto fs = std::make_shared<ServedImage>(std::move(mounted), served, suspension);
  if (const Result<void> entered = fs->enter(); !entered) {
    *error = {entered.error(), entered.error().message()};
    return nullptr;
  }
  return std::make_shared<ServedFs>(std::move(fs), std::make_shared<CallLock>(suspension),
                                    !options.checked);
}

}  // namespace viewsh
