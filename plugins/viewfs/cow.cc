#include "cow.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "cow_fs.h"
#include "cow_host.h"
#include "layer.h"
#include "layer_recover.h"
#include "subtree.h"

namespace viewsh {
namespace viewfs {

CowFs::CowFs(std::shared_ptr<FileSystem> lower, std::unique_ptr<Layer> layer, bool minimal)
    : lower_(std::move(lower)),
      layer_(std::move(layer)),
      snapshots_(layer_->dir_fd()),
      minimal_(minimal),
      own_meta_(lower_->own_meta()) {
  index_.on_remove = [this](Node* node) { unregister_node(node); };
}

CowFs::~CowFs() {
  (void)shutdown();
  index_.on_remove = nullptr;
  index_.on_place = nullptr;
  index_.on_directory = nullptr;
}

std::string CowFs::start() {
  const auto upper = lstat_at(layer_->upper_fd(), "");
  if (!upper) return "upper: " + upper.error().message();
  upper_dev_ = dev_of(*upper);
  for (const Transaction& t : layer_->take_history()) index_.apply(t);
  bool changed = !layer_->clean();
  if (layer_->interrupted() && layer_->writable()) {
    const auto done =
        recover_interrupted(&index_, layer_->upper_fd(),
                            [this](const std::string& path) { return lower_->getattr(path); });
    if (!done) return "upper: " + done.error().message();
    layer_->recovered();
  }
  changed = index_.verify(layer_->upper_fd()) || changed;
  Node* root = index_.root();
  if (!root->meta->origin) {
    const auto attr = lower_->getattr("");
    if (!attr) return attr.error().message();
    CopiedAttr copied{.owner = false, .mode = false};
    if (layer_->writable()) {
      copied = copy_attr(layer_->upper_fd(), ".", *attr, S_IRWXU);
      const auto xattrs = xattrs_of_lower("");
      const auto kept =
          xattrs ? set_xattrs(LongPath(layer_->upper_path()), *xattrs) : xattrs.error();
      if (!kept) return "extended attributes of the directory: " + kept.error().message();
      // An ACL counts for the owner's digit, too, and the user has to get in.
      const mode_t mode = (attr->stx_mode & 07777) | S_IRWXU;
      if (fchmodat(layer_->upper_fd(), ".", mode, 0) < 0)
        return "upper: " + Errno::last().message();
    }
    root->meta->origin = lower_state(*attr);
    if (!copied.owner || !copied.mode) {
      root->meta->mode = attr->stx_mode & 07777;
      root->meta->uid = attr->stx_uid;
      root->meta->gid = attr->stx_gid;
    }
    changed = true;
  }
  root->meta->upper_ino = upper->stx_ino;
  index_.each([this](Node* node) { register_node(node); });
  if (!layer_->writable()) return {};
  drop_stale_anchors();
  if (changed) {
    if (const auto done = layer_->compact(index_.snapshot(), false); !done) {
      return "log: " + done.error().message();
    }
  }
  return {};
}

void CowFs::drop_stale_anchors() {
  std::set<std::string> wanted;
  for (const auto& [key, linked] : index_.linked()) {
    if (linked.anchor) wanted.insert(std::to_string(key.dev) + "-" + std::to_string(key.ino));
  }
  UniqueFd fd(openat(layer_->links_fd(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return;
  fd.release();
  while (const dirent* entry = readdir(dir)) {
    if (wanted.count(entry->d_name) == 0) unlinkat(layer_->links_fd(), entry->d_name, 0);
  }
  closedir(dir);
}

Result<void> CowFs::shutdown() {
  if (closed_) return {};
  closed_ = true;
  if (layer_->writable()) TRY(layer_->compact(index_.snapshot(), true));
  return layer_->close();
}

Result<std::shared_ptr<FileSystem>> CowFs::subtree(const std::string& path) {
  TRY(look_existing(path));
  return make_subtree(shared_from_this(), path);
}

}  // namespace viewfs

namespace {

std::string relative(const std::string& at) {
  return at.empty() || at[0] != '/' ? at : at.substr(1);
}

std::string layer_dir(const Host& host, const std::string& name) {
  return host.state_dir() + "/layers/" + name;
}

/// The layers that a mount's own one stands on, each over those before it. Null: `error` is filled.
std::shared_ptr<FileSystem> stack_layers(const MountRequest& request, Host& host,
                                         std::shared_ptr<FileSystem> lower,
                                         const std::string& lower_host, MountError* error) {
  std::vector<std::string> over;
  for (const std::string& name : request.layers_below) {
    viewfs::LayerSpec spec;
    spec.name = name;
    spec.dir = layer_dir(host, name);
    spec.write = false;
    spec.shared = !request.look_only;
    spec.view_id = host.view_id();
    spec.at = request.at;
    spec.lower = over.empty() ? lower_host : std::string();
    spec.stand = true;
    spec.over = over;
    if (auto wrong = viewfs::check_layer_name(name); !wrong.empty()) {
      *error = {Errno(EINVAL), wrong};
      return nullptr;
    }
    auto layer = viewfs::Layer::open(spec, error);
    if (!layer) return nullptr;
    auto fs = std::make_shared<viewfs::CowFs>(std::move(lower), std::move(layer),
                                              request.type == "mincow");
    if (const std::string why = fs->start(); !why.empty()) {
      *error = {Errno(EIO), "layer " + name + ": " + why};
      return nullptr;
    }
    lower = std::move(fs);
    over.push_back(name);
  }
  return lower;
}

/// Host path of a tree that changes can be committed to; empty for a union, another layer or what
/// ends with the view: they have no one place to commit to.
std::string committable(FileSystem& lower) {
  const Caller self{.uid = geteuid(), .gid = getegid()};
  const auto root = lower.resolve("", "", {.follow_last = false}, self);
  const bool host_tree = root && !root->attr_virtual && lower.type() != "tmpfs";
  return host_tree ? root->host : std::string();
}

/// Where the changes of a mount go. False: `error` is filled.
bool specify_layer(const MountRequest& request, Host& host, viewfs::LayerSpec* spec,
                   MountError* error) {
  // Who only looks, sees what a layer that is still to be made would show: nothing changed.
  const std::string kept = layer_dir(host, request.layer);
  const bool there = access((kept + "/layer").c_str(), F_OK) == 0;
  spec->durable = !request.layer.empty() && (there || !request.look_only);
  spec->create = !spec->durable || !request.look_only;
  spec->write = spec->create;
  spec->view_id = host.view_id();
  spec->at = request.at;
  if (spec->durable) {
    spec->name = request.layer;
    spec->dir = kept;
    spec->stand = true;
    spec->over = request.layers_below;
    const std::string wrong = viewfs::check_layer_name(request.layer);
    if (!wrong.empty()) *error = {Errno(EINVAL), wrong};
    return wrong.empty();
  }
  auto scratch = host.scratch_dir("cow", request.look_only);
  if (!scratch) {
    *error = {scratch.error(), "no place for changes: " + host.state_dir() + ": " +
                                   scratch.error().message() +
                                   "; set XDG_STATE_HOME to a directory that you can write to"};
    return false;
  }
  spec->name = "of this view";
  spec->dir = *scratch;
  return true;
}

}  // namespace

std::shared_ptr<FileSystem> mount_cow(const MountRequest& request, Host& host, MountError* error) {
  const auto fail = [&](Errno code, std::string text) {
    *error = {code, std::move(text)};
    return nullptr;
  };
  auto below = request.below->subtree(relative(request.at));
  if (!below) {
    return fail(below.error(), request.type + ": " + request.at + ": " + below.error().message());
  }
  const std::string lower_host = committable(**below);
  auto lower = stack_layers(request, host, std::move(*below), lower_host, error);
  if (!lower) return nullptr;
  viewfs::LayerSpec spec;
  if (!specify_layer(request, host, &spec, error)) return nullptr;
  if (request.layers_below.empty()) spec.lower = lower_host;
  auto layer = viewfs::Layer::open(spec, error);
  if (!layer) return nullptr;
  const bool minimal = request.type == "mincow";
  auto fs = std::make_shared<viewfs::CowFs>(std::move(lower), std::move(layer), minimal);
  if (const std::string why = fs->start(); !why.empty()) {
    return fail(Errno(EIO), "layer " + spec.name + ": " + why);
  }
  return fs;
}

}  // namespace viewsh
