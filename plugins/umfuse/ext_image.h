#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ext_dir.h"
#include "ext_fs.h"
#include "ext_map.h"
#include "image.h"

namespace viewsh {

/// How an image is opened.
struct ExtOptions {
  /// What is done when a structure turns out to be wrong: go on, or change nothing any more. The
  /// image is marked in both cases. errors= of mount(8).
  enum class Errors { kAsTheImageSays, kContinue, kRemountRo };

  bool ro = false;
  uint64_t offset = 0;     ///< of the file system in the file, in bytes
  uint64_t sizelimit = 0;  ///< bytes of the file that count, from offset; 0: all
  bool noatime = false;    ///< reading changes no times; else as relatime
  Errors errors = Errors::kAsTheImageSays;
  /// Whose changes they are: the blocks kept for the administrator are his.
  uid_t uid = 0;
  gid_t gid = 0;
  std::string last_mounted;               ///< goes into the superblock
  size_t cache_bytes = size_t{16} << 20;  ///< of metadata that was only read
  ExtAround* around = nullptr;            ///< who has the file; outlives the image
  /// Stands between the image and its file: a test that records writes.
  std::unique_ptr<ExtDevice> (*wrap)(std::unique_ptr<ExtDevice>, void*) = nullptr;
  void* wrap_data = nullptr;
};

/// What of the flags an inode of that type can have. ext4_mask_flags()
uint32_t ext_flags_for(mode_t mode, uint32_t flags);

/// An ext2, ext3 or ext4 image through libext2fs. Metadata waits in memory until sync(), and goes
/// to the device through the image's own journal in one step; without one, in an order that
/// e2fsck(8) can repair and that hurts no file which didn't change. File content goes to the device
/// at once, never over a block that the last sync()'s files need.
class ExtImage : public WritableImage {
 public:
  /// `fd` stays the caller's and outlives the image; it is locked (F_OFD_SETLK) as long as the
  /// image is open. Opened for reading only where it can't be written, *why then says so; *why may
  /// hold a warning, too. It is one line without a subject. EINVAL: not such an image, or one with
  /// features that aren't known; EBUSY: another one has it; EUCLEAN, EIO.
  static Result<std::unique_ptr<ExtImage>> open(int fd, const ExtOptions& options,
                                                std::string* why);
  /// Without close(): what was not synced is lost, as if the power went.
  ~ExtImage() override;

  bool read_only() const override { return !fs_->writable(); }
  Result<void> close() override;

  std::string_view type() const override;
  NodeId root() const override { return EXT2_ROOT_INO; }
  Result<NodeId> lookup(NodeId directory, std::string_view name) override;
  Result<Attr> getattr(NodeId node) override;
  Result<std::vector<DirEntry>> list(NodeId directory) override;
  Result<std::string> readlink(NodeId node) override;
  Result<void> extract(NodeId node, int to) override;
  Result<std::vector<std::string>> listxattr(NodeId node) override;
  Result<std::string> getxattr(NodeId node, const std::string& name) override;
  Result<struct statfs> statfs() override;

  Result<NodeId> mknod(NodeId directory, std::string_view name, const NewNode& node) override;
  Result<NodeId> mkdir(NodeId directory, std::string_view name, const NewNode& node) override;
  Result<NodeId> symlink(NodeId directory, std::string_view name, const std::string& target,
                         const NewNode& node) override;
  Result<NodeId> make_nameless(NodeId directory, const NewNode& node) override;
  Result<void> link(NodeId node, NodeId directory, std::string_view name) override;
  Result<void> unlink(NodeId directory, std::string_view name) override;
  Result<void> rmdir(NodeId directory, std::string_view name) override;
  Result<void> rename(NodeId from_directory, std::string_view from, NodeId to_directory,
                      std::string_view to, unsigned flags) override;
  Result<void> hold(NodeId node) override;
  Result<void> release(NodeId node) override;
  Result<void> setattr(NodeId node, const SetAttr& set) override;
  Result<void> restore_times(NodeId node, timespec mtime, timespec ctime) override;
  Result<void> setxattr(NodeId node, const std::string& name, std::string_view value,
                        int flags) override;
  Result<void> removexattr(NodeId node, const std::string& name) override;
  Result<size_t> pread(NodeId node, void* to, size_t size, uint64_t offset) override;
  Result<size_t> pwrite(NodeId node, const void* from, size_t size, uint64_t offset) override;
  Result<void> fallocate(NodeId node, int mode, uint64_t offset, uint64_t size) override;
  Result<void> sync() override;

  bool own_meta() const override { return true; }
  Result<FileFlags> getflags(NodeId node) override;
  /// Of the flags only those that a user may change, EOPNOTSUPP for others. ext4_fileattr_set()
  Result<void> setflags(NodeId node, const FileFlags& set) override;
  std::optional<bool> acl_allows(NodeId node, const Attr& attr, int want,
                                 const Caller& caller) override;

 private:
  /// Blocks that are taken or given back between two moments at which a commit may come.
  static constexpr uint64_t kStep = 65536;

  explicit ExtImage(const ExtOptions& options) : options_(options) {}

  // ext_open.cc
  Result<void> start(int fd, std::string* why);
  Result<void> lock(int fd, uint64_t bytes, bool write, std::string* why);
  void unlock();
  Result<bool> decide(int fd, std::string* why, std::string* note, std::string* unplayed);

  // ext_image.cc
  /// The inode of a node that is in use. ESTALE.
  Result<ExtInode> node(NodeId node);
  Result<ExtInode> directory(NodeId node);
  /// Before an operation that changes something. EROFS.
  Result<void> begin(uint64_t blocks);
  /// What an operation gave, looked at: a structure that can't be makes the image read-only if so
  /// wanted.
  template <typename T>
  Result<T> judge(Result<T> result) {
    if (!result && result.error() == EUCLEAN) damaged();
    return result;
  }
  void damaged();
  void touch_access(NodeId node);
  bool held(NodeId node) const { return holds_.count(node) != 0; }

  // ext_names.cc, ext_rename.cc
  Result<void> check_new_name(NodeId directory, std::string_view name);
  Result<ExtInode> new_inode(const NewNode& node, uint32_t parent_flags);
  Result<NodeId> create(NodeId directory, std::string_view name, const NewNode& node,
                        const std::string* target);
  Result<NodeId> create_at(NodeId directory, std::string_view name, const NewNode& node,
                           const std::string* target);
  Result<void> fill_new(NodeId ino, ExtInode* inode, NodeId directory, const std::string* target);
  void discard_new(NodeId ino, bool directory);
  Result<void> put_target(NodeId ino, ExtInode* inode, const std::string& target);
  Result<void> check_removable(const ExtInode& parent, const ExtInode& inode);
  Result<void> drop_link(NodeId node);
  Result<void> change_links(NodeId directory, int by);
  Result<void> remove_name(NodeId directory, std::string_view name, bool want_directory);
  struct Move;
  Result<void> check_move(const Move& move, unsigned flags);
  Result<void> check_ancestor(NodeId moved, NodeId directory);
  Result<void> move(const Move& move);
  Result<void> exchange(const Move& move);
  Result<void> reparent(NodeId node, NodeId from, NodeId to);
  Result<void> touch_change(NodeId node);

  // ext_orphan.cc
  Result<void> add_orphan(NodeId ino, ExtInode* inode);
  Result<void> remove_orphan(NodeId ino, ExtInode* inode);
  Result<void> clear_orphans();
  Result<void> clear_orphan(NodeId ino);
  Result<void> clear_orphan_file();
  /// Gives back all that belongs to an inode without a name. It is on the list or has no links.
  Result<void> free_inode(NodeId ino);

  // ext_file.cc, ext_space.cc
  Result<size_t> write_part(NodeId node, ExtInode* inode, const char* from, size_t size,
                            uint64_t offset);
  Result<size_t> write_all(NodeId node, const char* from, size_t size, uint64_t offset);
  Result<void> read_part(NodeId node, const ExtInode& inode, char* to, size_t size,
                         uint64_t offset);
  Result<void> zero_part(NodeId node, ExtInode* inode, uint64_t from, uint64_t to);
  Result<void> leave_inode(NodeId node, ExtInode* inode);
  Result<void> set_size(NodeId node, ExtInode* inode, uint64_t size);
  Result<void> shrink(NodeId node, ExtInode* inode, uint64_t size);
  Result<void> reserve_range(NodeId node, ExtInode* inode, uint64_t from, uint64_t to,
                             bool keep_size);
  Result<void> punch_range(NodeId node, ExtInode* inode, uint64_t from, uint64_t to);
  Result<void> punch_blocks(NodeId node, ExtInode* inode, uint64_t from, uint64_t to);

  // ext_acl.cc
  Result<void> chmod_acl(NodeId node, mode_t mode);
  /// ACLs of a node; empty where it has none.
  struct Acls {
    std::string access;
    std::string standard;  ///< of what is made in it
  };
  Result<Acls> acls(NodeId node);
  Result<Acls> inherit(NodeId parent, mode_t* mode);
  Result<void> put_acls(NodeId node, const Acls& acls);

  ExtOptions options_;
  std::unique_ptr<ExtFs> fs_;
  std::unique_ptr<ExtMap> map_;
  std::unique_ptr<ExtDirs> dirs_;
  std::unordered_map<NodeId, uint64_t> holds_;
  std::unordered_map<NodeId, Acls> acls_;  ///< of those that were asked for
  std::vector<NodeId> orphans_;            ///< those on the list; its head is the last
  int lock_fd_ = -1;                       ///< the caller's descriptor, locked
  uint64_t lock_bytes_ = 0;
};

}  // namespace viewsh
