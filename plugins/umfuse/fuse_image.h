#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuse_channel.h"
#include "fuse_nodes.h"
#include "fuse_notify.h"
#include "fuse_session.h"
#include "opened_image.h"

namespace viewsh {

/// A file system that a FUSE server has: this is the kernel's side of the protocol. Numbers of
/// nodes are the server's; stx_ino and the numbers of a listing are what the server wants shown,
/// which is something else for many. What the kernel does, in fs/fuse, is done here:
/// - names and attributes are asked for again when the time is over for which the server gave them;
/// - an operation that the server doesn't know (ENOSYS) isn't asked for again: no open, no flush,
/// no
///   fsync count as done, xattrs and fallocate are EOPNOTSUPP, CREATE becomes MKNOD, RENAME2
///   EINVAL;
/// - a node that is held has its file open, and that's how one without a name is read and written;
/// - what can't be in a reply is EIO, and a node of which the server says two things is EIO for
/// good. A server that is gone is ENOTCONN for everything (ECONNABORTED: just now); one that is
/// interrupted gives EINTR.
///
/// While a call waits (FuseWait), others may be made, by the same thread. Permission is the
/// server's business, or the caller's with default_permissions: access() asks the server.
class FuseImage final : public WritableImage, public OpenedImage, private FuseListener {
 public:
  /// `fd`: our end of the pair. FUSE_INIT is sent; nothing waits for the answer yet.
  FuseImage(UniqueFd fd, std::unique_ptr<FuseWait> wait, const FuseOptions& options);
  ~FuseImage() override;

  /// For whom requests are from now on; new nodes are made for their owner. Whoever goes on with a
  /// call after another one was made while it waited sets it again.
  void set_who(const FuseWho& who) { session_.set_who(who); }
  /// Waits for the server's answer to FUSE_INIT, as each call does.
  Result<void> ready() { return session_.ready(); }
  /// The server changed something itself. `listener` hears of it after this object.
  void listen(FuseListener* listener) { listener_ = listener; }
  /// To be polled, and pumped when there is something to read, or to write.
  FuseChannel& channel() { return channel_; }
  FuseSession& session() { return session_; }
  const FuseSession& session() const { return session_; }

  std::string_view type() const override { return "fuse"; }
  NodeId root() const override { return FUSE_ROOT_ID; }
  bool knows(NodeId node) const override { return nodes_.knows(node); }
  Result<NodeId> lookup(NodeId directory, std::string_view name) override;
  Result<Attr> getattr(NodeId node) override;
  /// By a handle of his where the server refuses it without.
  Result<Attr> getattr_open(NodeId node) override;
  Result<std::vector<DirEntry>> list(NodeId directory) override;
  Result<std::string> readlink(NodeId node) override;
  Result<void> extract(NodeId node, int to) override;
  Result<std::vector<std::string>> listxattr(NodeId node) override;
  Result<std::string> getxattr(NodeId node, const std::string& name) override;
  Result<struct statfs> statfs() override;

  bool read_only() const override { return false; }
  Result<NodeId> mknod(NodeId directory, std::string_view name, const NewNode& node) override;
  Result<NodeId> mkdir(NodeId directory, std::string_view name, const NewNode& node) override;
  Result<NodeId> symlink(NodeId directory, std::string_view name, const std::string& target,
                         const NewNode& node) override;
  /// EOPNOTSUPP: the server has no FUSE_TMPFILE.
  Result<NodeId> make_nameless(NodeId directory, const NewNode& node) override;
  Result<void> link(NodeId node, NodeId directory, std::string_view name) override;
  Result<void> unlink(NodeId directory, std::string_view name) override;
  Result<void> rmdir(NodeId directory, std::string_view name) override;
  Result<void> rename(NodeId from_directory, std::string_view from, NodeId to_directory,
                      std::string_view to, unsigned flags) override;
  Result<void> hold(NodeId node) override;
  /// The error of FUSE_FLUSH, as with close(2).
  Result<void> release(NodeId node) override;
  /// FUSE_OPEN, and the file stays open there until closed(). What the content was doesn't count
  /// unless the server says so (FOPEN_KEEP_CACHE).
  Result<bool> opens(NodeId node, int flags) override;
  /// What is known of the attributes says that the content is another than the one that was read
  /// last. inode_newer_than() and its kin with FUSE_AUTO_INVAL_DATA
  bool content_changed(NodeId node) override;
  /// Nodes that the caller has a use for are never forgotten.
  void keep(std::function<bool(NodeId)> used) { nodes_.keep(std::move(used)); }
  Result<void> flush(NodeId node) override;
  void closed(NodeId node) override;
  Result<void> setattr(NodeId node, const SetAttr& set) override;
  /// By a handle for writing where there is one. ftruncate(2)
  Result<void> resize_open(NodeId node, uint64_t size) override;
  Result<void> setxattr(NodeId node, const std::string& name, std::string_view value,
                        int flags) override;
  Result<void> removexattr(NodeId node, const std::string& name) override;
  Result<size_t> pread(NodeId node, void* to, size_t size, uint64_t offset) override;
  Result<size_t> pwrite(NodeId node, const void* from, size_t size, uint64_t offset) override;
  Result<void> fallocate(NodeId node, int mode, uint64_t offset, uint64_t size) override;
  Result<void> sync() override;
  Result<void> close() override;

  /// access(2) with R_OK, W_OK, X_OK. A server that doesn't know it allows everything.
  Result<void> access(NodeId node, int mask);
  /// SEEK_DATA, SEEK_HOLE of lseek(2). EOPNOTSUPP: the server has no FUSE_LSEEK. ENXIO.
  Result<uint64_t> seek(NodeId node, uint64_t offset, int whence);
  /// Nobody knows the number of the node any more. The server may then give it to another. A
  /// directory stays as long as one in it is known.
  void forget(NodeId node) { nodes_.forget(node); }
  /// The same for all nodes that aren't held, but for the `keep` that were used last.
  void forget_but(size_t keep) { nodes_.forget_but(keep); }
  size_t known_nodes() const { return nodes_.size(); }

 private:
  using Ref = FuseNodes::Ref;
  using Handle = std::shared_ptr<FuseHandle>;
  using Parts = std::array<std::string_view, 5>;

  Result<fuse_entry_out> entry_of(std::string_view reply, size_t offset) const;
  Result<Ref> ask_entry(uint32_t opcode, NodeId directory, std::string_view name, Parts parts,
                        const NewNode* node, mode_t type);
  FuseWho who_makes(const NewNode* node) const;
  Result<Ref> ask_create(uint32_t opcode, NodeId directory, std::string_view name,
                         const NewNode& node, Handle* handle);
  Result<NodeId> create(NodeId directory, std::string_view name, const NewNode& node);
  Result<void> refresh(const Ref& node);
  Result<void> refresh_open(const Ref& node);
  Result<void> refresh_by(const Ref& node, const FuseHandle* handle);
  Attr attr_of(const FuseNode& node) const;
  Result<void> ask_setattr(const Ref& node, const fuse_setattr_in& in);
  Result<void> check_new(NodeId directory, std::string_view name);
  void lost_name(const Ref& node);
  void await_release(const Ref& node);
  void moved_to(const Ref& node, NodeId directory);
  Result<void> ask_rename(NodeId from_directory, std::string_view from, NodeId to_directory,
                          std::string_view to, unsigned flags);
  Result<void> remove(uint32_t opcode, NodeId directory, std::string_view name);
  void changed_directory(NodeId directory, std::string_view name);
  Result<Ref> ask_lookup(const Ref& directory, std::string_view name);

  Result<Handle> open_handle(const Ref& node, int flags);
  Result<Handle> handle_for(const Ref& node, int mode);
  Result<size_t> read_once(const FuseHandle& handle, char* to, size_t size, uint64_t offset);
  Result<uint64_t> copy_range(const FuseHandle& handle, int to, uint64_t from, uint64_t end);
  Result<uint64_t> copy_all(const FuseHandle& handle, int to, uint64_t size);
  Result<uint64_t> seek_handle(const FuseHandle& handle, uint64_t offset, int whence);
  static void note_content(FuseNode* node);
  Result<void> finish(const Ref& node, const Handle& handle);
  Result<Handle> handle_to_sync(const Ref& node);
  Result<void> sync_node(NodeId node, bool directory);

  void content_is_old(uint64_t node);
  Result<void> read_listing(const FuseHandle& handle, const Ref& directory, bool plus,
                            std::vector<DirEntry>* entries);

  void inval_inode(uint64_t node, int64_t offset, int64_t length) override;
  void inval_entry(uint64_t parent, std::string_view name, bool expire) override;
  void deleted(uint64_t parent, uint64_t child, std::string_view name) override;
  void store(uint64_t node, uint64_t offset, std::string_view data) override;
  void retrieve(uint64_t unique, uint64_t node, uint64_t offset, uint32_t size) override;
  void poll(uint64_t kh) override;
  void late(uint32_t opcode, uint64_t node, std::string_view payload) override;

  std::unique_ptr<FuseWait> wait_;
  FuseChannel channel_;
  FuseSession session_;
  FuseNodes nodes_;
  FuseListener* listener_ = nullptr;
  std::set<std::pair<NodeId, bool>> unsynced_;  ///< with: is it a directory?
  bool closed_ = false;
};

}  // namespace viewsh
