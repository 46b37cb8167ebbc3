#pragma once

#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "image.h"
#include "image_pending.h"
#include "image_source.h"
#include "image_stage.h"
#include "node_gates.h"
#include "node_places.h"
#include "opened_image.h"
#include "viewsh/constant.h"
#include "viewsh/filesystem.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// An image that is mounted, for all trees that show it or a part of it.
struct MountedImage {
  MountedImage(std::shared_ptr<const ImageSource> from, std::unique_ptr<Image> opened, Host& host,
               uint32_t device, ImageStage::Limits limits)
      : source(std::move(from)),
        image(std::move(opened)),
        stage(*image, host, limits),
        minor(device) {
    if (!limits.writable) return;
    writable = dynamic_cast<WritableImage*>(image.get());
    if (writable == nullptr) return;
    hears = dynamic_cast<OpenedImage*>(image.get());
    pending = std::make_unique<PendingContent>(*writable, stage, hears != nullptr);
  }
  /// Calls wait, and others are made meanwhile.
  void share(Suspension* suspension) {
    locks = std::make_unique<NodeLocks>(suspension);
    gates = std::make_shared<NodeGates>(suspension);
    stage.share(locks.get());
    if (pending != nullptr) pending->share(locks.get());
  }

  std::shared_ptr<const ImageSource> source;  ///< outlives the image
  std::unique_ptr<Image> image;
  std::unique_ptr<NodeLocks> locks;
  std::shared_ptr<NodeGates> gates;
  ImageStage stage;
  uint32_t minor;                           ///< of stx_dev
  WritableImage* writable = nullptr;        ///< the image, where it is mounted for writing
  OpenedImage* hears = nullptr;             ///< the same, where it wants to know what is open
  std::unique_ptr<PendingContent> pending;  ///< where it is so
  /// What was done for an open that the task itself has still to do.
  enum class Unconfirmed : uint8_t { kMade, kEmptied, kNameless };
  std::unordered_map<NodeId, Unconfirmed> unconfirmed;
  /// Files that were made without a name (O_TMPFILE), which the image holds; may they get one?
  /// Their path is # and the number, as in the kernel's own names for them.
  std::unordered_map<NodeId, bool> nameless;
  std::unordered_set<NodeId> open;  ///< those that OpenedImage::opens() was said of
  std::multiset<NodeId> planned;    ///< those that are about to be used
  /// A directory's default ACL, not the umask, says what a new node's mode is: the image's
  /// business.
  bool default_acls = false;
  bool constant = false;  ///< it is for reading only, and nobody else changes it
  bool closed = false;
  NodePlaces places;
};

/// An image as a file system that can't be changed. Attributes, names and links are the image's;
/// what is opened, executed or worked in are objects that stand for its nodes (ImageStage), so that
/// everything after the open is the kernel's. Permission is checked for the caller as the image's
/// nodes say, as with a mount by root; device nodes are not opened (EACCES), as with nodev.
class ImageFs : public FileSystem, public Constant {
 public:
  ImageFs(std::shared_ptr<MountedImage> image, NodeId root)
      : mounted_(std::move(image)), root_(root) {}

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override;
  Result<Attr> getattr(const std::string& path) override;
  Result<std::vector<DirEntry>> list(const std::string& path) override;
  std::optional<std::string> reverse(const std::string& host) override;
  bool fix_attr(Attr* attr) override;
  bool mark_attr(AttrMarks* marks) override {
    stage().mark_attr(marks);
    return true;
  }
  /// Of a part of it that is shown elsewhere the objects are the same.
  bool is_constant() const override { return mounted_->constant && mounted_.use_count() == 1; }
  void on_removal(std::function<void(uint64_t dev, uint64_t ino)> removed) override {
    stage().on_removal(std::move(removed));
  }

  bool waits(std::string_view, bool) const override { return mounted_->locks != nullptr; }
  bool waits_for(const Attr& object) const override {
    return mounted_->locks != nullptr && stage().node_of(object).has_value();
  }

  std::string_view type() const override { return mounted_->image->type(); }
  bool read_only() const override { return true; }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string&, const OpenPlan&, bool) override {}

  Result<void> mkdir(const std::string& path, mode_t, const Caller&) override {
    return refuse_new(path);
  }
  Result<void> mknod(const std::string& path, mode_t, dev_t, const Caller&) override {
    return refuse_new(path);
  }
  Result<void> symlink(const std::string& path, const std::string&, const Caller&) override {
    return refuse_new(path);
  }
  Result<void> link(const std::string&, const std::string& to, const Caller&) override {
    return refuse_new(to);
  }
  Result<void> link_host(const std::string&, const std::string& to, const Caller&) override {
    return refuse_new(to);
  }
  Result<void> unlink(const std::string&, const Caller&) override { return Errno(EROFS); }
  Result<void> rmdir(const std::string&, const Caller&) override { return Errno(EROFS); }
  Result<void> rename(const std::string&, const std::string&, unsigned, const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller&) override;
  Result<void> setxattr(const std::string&, const std::string&, std::string_view, int,
                        const Caller&) override {
    return Errno(EROFS);
  }
  Result<void> removexattr(const std::string&, const std::string&, const Caller&) override {
    return Errno(EROFS);
  }
  bool own_meta() const override { return image().own_meta(); }
  Result<FileFlags> getflags(const std::string& path) override;
  Result<void> setflags(const std::string&, const FileFlags&, const Caller&) override {
    return Errno(EROFS);
  }
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override;
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override;
  Result<void> permits(const std::string& path, int want, const Caller& caller) override;
  Result<struct statfs> statfs(const std::string& path) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override;
  Result<std::string> watch(const std::string& path, const Caller& caller) override;

 protected:
  using Place = NodePlace;
  struct Node {
    NodeId id = 0;
    Place place;
  };
  ImageStage& stage() const { return mounted_->stage; }
  Image& image() const { return *mounted_->image; }
  /// No link on the way is followed. ENOENT, ENOTDIR.
  Result<Node> find(std::string_view path);
  /// `open`: for who has it open.
  Result<Attr> attr_of(NodeId node, bool open = false) const;
  Result<Found> found(const Node& node, const Attr& attr);
  void remember(const Node& node);
  bool allows(NodeId node, const Attr& attr, int want, const Caller& caller) const {
    return image_allows(image(), node, attr, want, caller);
  }
  /// What is open but has no name that is known goes by its number: "#12".
  bool is_nameless(NodeId node) const;
  std::optional<NodeId> nameless_at(std::string_view path) const;
  NodeId top() const { return root_; }
  Result<NodeGates::Hold> gate(NodeId node, NodeGates::Kind kind, bool shares) const {
    return enter_gate(mounted_->gates, node, kind, shares);
  }
  /// As long as it is held the node doesn't go; or (alone) it goes. ESTALE: it is gone.
  Result<NodeGates::Hold> hold_life(NodeId node, bool shares) const;
  struct Use {
    NodeGates::Hold life;
    NodeGates::Hold use;
  };
  /// The same, for who opens it, or (alone) changes its attributes.
  Result<Use> hold_use(NodeId node, bool shares) const;
  MountedImage& mounted() const { return *mounted_; }
  std::shared_ptr<MountedImage> shared() const { return mounted_; }
  Result<OpenPlan> plan_node(const Node& node, const Attr& attr, const OpenHow& how,
                             const Caller& caller);

 private:
  /// The task may open the content of a regular file; its image has to be asked, too.
  virtual Result<void> opens(NodeId, int) { return {}; }
  Result<void> refuse_new(const std::string& path);

  std::shared_ptr<MountedImage> mounted_;
  NodeId root_;
};

}  // namespace viewsh
