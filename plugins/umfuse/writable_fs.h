#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "image_fs.h"

namespace viewsh {

/// An image as a file system that can be changed. Names and attributes are changed in the image at
/// once; contents are changed natively, in the objects that stand for them, and get into the image
/// by sync_names(), sync_all(), flush() and shutdown() (PendingContent).
///
/// Permission is checked as ext4 checks it, ACLs included.
class WritableImageFs : public ImageFs {
 public:
  WritableImageFs(std::shared_ptr<MountedImage> image, NodeId root)
      : ImageFs(std::move(image), root) {}

  bool read_only() const override { return false; }
  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string& path, const OpenPlan& plan, bool success) override;

  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override;
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override;
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override;
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override;
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override;
  Result<void> unlink(const std::string& path, const Caller& caller) override;
  Result<void> rmdir(const std::string& path, const Caller& caller) override;
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override;
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override;
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override;
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override;
  Result<void> setflags(const std::string& path, const FileFlags& set,
                        const Caller& caller) override;
  Result<struct statfs> statfs(const std::string& path) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override;
  Result<std::string> watch(const std::string& path, const Caller& caller) override;

  /// The limit is the room in the image; what was given out and not written yet counts.
  bool quota() const override { return true; }
  uint64_t reserve(uint64_t bytes) override;
  bool keeps() const override { return true; }
  bool asks_where(const std::string& host) override;
  void writing(const std::string& host, const PlannedWrite& write) override;
  Result<void> sync_names(const std::string& host) override;
  Result<void> sync_all() override;
  /// The image is closed. ENOSPC, EIO: not all could be written; what was synced before is there.
  Result<void> shutdown() override;

 protected:
  // What follows is for an OpenedImage. CloseListener:
  Result<bool> closing(const std::string& host);
  void closed(const std::string& host);
  /// closed() has something to do. Waits for nothing.
  bool has_closed(const std::string& host) const;
  /// opened() with success has nothing to do but to note it. Waits for nothing.
  bool only_notes(const OpenPlan& plan) const;
  /// Where the image knows another content of a node than the one that was read, that is read.
  void follow(NodeId node);

 private:
  Result<void> renew(NodeId node);
  /// Where a name is, or is to be.
  struct Spot {
    NodeId directory = 0;
    Attr attr = {};  ///< the directory's
    std::string name;
  };
  /// A name with what it leads to.
  struct Victim {
    Spot spot;
    NodeId node = 0;
    Attr attr = {};
  };
  using Hold = NodeGates::Hold;
  /// What is kept from others while names change: those of the directories, and what loses its
  /// name.
  struct Locks {
    Hold tree;
    Hold names;
    Hold other_names;
    Hold inside;  ///< names in a directory that goes
    Hold life;
  };
  /// `names`: from now on nobody else changes names there.
  Result<Spot> spot(const std::string& path, Hold* names = nullptr);
  Result<Spot> free_spot(const std::string& path, const Caller& caller, Hold* names);
  Result<Victim> named(const std::string& path, Hold* names = nullptr);
  Result<Locks> lock_rename(const std::string& from, const std::string& to);
  /// It is about to go; its attributes are what they are when nobody else is there any more.
  Result<void> lock_victim(Victim* victim, Locks* locks);
  Result<void> may_delete(const Victim& victim, const Caller& caller) const;
  /// named(), and it may be deleted.
  Result<Victim> victim(const std::string& path, const Caller& caller, Hold* names = nullptr);
  WritableImage::NewNode new_node(const Spot& spot, mode_t mode, const Caller& caller) const;
  /// After the last name of a node went.
  void gone(const Victim& victim, const std::string& path, bool held);
  Result<std::vector<ImageStage::Name>> names_in(NodeId directory);
  static ImageStage::Name name_of(const Victim& victim) {
    return {{victim.spot.directory, victim.spot.name}, victim.node, S_ISDIR(victim.attr.stx_mode)};
  }
  Result<bool> hold_used(NodeId node, const Attr& attr);
  Result<void> opens(NodeId node, int flags) override;
  bool is_used(NodeId node) const;
  void end_open(NodeId node);
  void finish_open(const std::string& path, const std::string& host, bool success);
  Result<void> settle();
  Result<void> link_node(const Node& node, const std::string& to, const Caller& caller);
  void forget_nameless(NodeId node);
  void leave(const Victim& victim);

  Result<OpenPlan> plan_there(const Node& node, const OpenHow& how, const Caller& caller);
  Result<OpenPlan> plan_new(const Spot& spot, const OpenHow& how, const Caller& caller);
  Result<OpenPlan> plan_nameless(const std::string& path, const OpenHow& how, const Caller& caller);
  Result<OpenPlan> plan_read(const Node& node, const Attr& attr, const OpenHow& how,
                             const Caller& caller);
  Result<OpenPlan> plan_write(const Node& node, const Attr& attr, const OpenHow& how,
                              const Caller& caller);
  OpenPlan plan_for(NodeId node, std::string host, const OpenHow& how);

  static Result<void> check_flags(const Attr& attr, const SetAttr& set);
  Result<void> check_setattr(NodeId node, const Attr& attr, const SetAttr& set,
                             const Caller& caller) const;
  bool may_link(NodeId node, const Attr& attr, const Caller& caller) const;
  Result<void> acl_changed(const Node& node, const Caller& caller);
  Result<void> xattr_changed(const Node& node, const std::string& name, const std::string* value,
                             const Caller& caller);
  Result<void> set_size(const Node& node, const Attr& attr, uint64_t size);
  Result<Node> for_xattr(const std::string& path, const std::string& name, const Caller& caller,
                         Use* alone);

  WritableImage& writable() const { return *mounted().writable; }
  PendingContent& pending() const { return *mounted().pending; }
};

}  // namespace viewsh
