#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <climits>
#include <cstring>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

constexpr uint32_t kMaxLinks = EXT2_LINK_MAX;
/// What a new node has of its directory's flags, as far as its type can. EXT4_FL_INHERITED of
/// fs/ext4/ext4.h.
constexpr uint32_t kInherited = EXT2_SECRM_FL | EXT2_UNRM_FL | EXT2_COMPR_FL | EXT2_SYNC_FL |
                                EXT2_NODUMP_FL | EXT2_NOATIME_FL | EXT2_NOCOMPR_FL |
                                EXT3_JOURNAL_DATA_FL | EXT2_NOTAIL_FL | EXT2_DIRSYNC_FL |
                                EXT4_PROJINHERIT_FL | EXT4_CASEFOLD_FL | FS_DAX_FL;

void set_device(ExtInode* inode, dev_t device) {
  const uint32_t high = major(device);
  const uint32_t low = minor(device);
  if (high < 256 && low < 256) {
    inode->i_block[0] = high << 8 | low;
  } else {
    inode->i_block[1] = (low & 0xff) | high << 8 | (low & ~0xffu) << 12;
  }
}

uint32_t random32() {
  uint32_t value = 0;
  if (::getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value) {
    value = static_cast<uint32_t>(ext_now().tv_nsec);
  }
  return value;
}

}  // namespace

/// EEXIST, and what a name must not be. The directory takes new names.
Result<void> ExtImage::check_new_name(NodeId parent, std::string_view name) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(const ExtInode inode, judge(directory(parent)));
  if (name.size() > EXT2_NAME_LEN) return Errno(ENAMETOOLONG);
  if (name == "." || name == "..") return Errno(EEXIST);
  if (name.empty()) return Errno(ENOENT);
  if (!ext_good_name(name)) return Errno(EINVAL);
  const auto found = judge(dirs_->lookup(parent, name));
  if (found) return Errno(EEXIST);
  if (found.error() != ENOENT) return found.error();
  if (inode.i_links_count == 0) return Errno(ENOENT);
  if (inode.i_flags & EXT2_IMMUTABLE_FL) return Errno(EPERM);
  return {};
}

Result<ExtInode> ExtImage::new_inode(const NewNode& node, uint32_t parent_flags) {
  if (ext_file_type(node.mode) == EXT2_FT_UNKNOWN) return Errno(EINVAL);
  ExtInode inode;
  std::memset(&inode, 0, sizeof inode);
  inode.i_mode = static_cast<uint16_t>(node.mode & (S_IFMT | 07777));
  inode.i_uid = static_cast<uint16_t>(node.uid);
  inode.osd2.linux2.l_i_uid_high = static_cast<uint16_t>(node.uid >> 16);
  inode.i_gid = static_cast<uint16_t>(node.gid);
  inode.osd2.linux2.l_i_gid_high = static_cast<uint16_t>(node.gid >> 16);
  inode.i_links_count = 1;
  inode.i_generation = random32();
  inode.i_flags = ext_flags_for(node.mode, parent_flags & kInherited);
  if (fs_->large_inodes()) {
    uint16_t extra = fs_->super().s_want_extra_isize;
    const size_t room = EXT2_INODE_SIZE(&fs_->super()) - EXT2_GOOD_OLD_INODE_SIZE;
    if (extra < 4 || extra > room || extra % 4 != 0)
      extra = sizeof inode - EXT2_GOOD_OLD_INODE_SIZE;
    inode.i_extra_isize = extra;
  }
  const timespec now = ext_now();
  for (const ExtTime which :
       {ExtTime::kAccess, ExtTime::kModify, ExtTime::kChange, ExtTime::kBirth}) {
    ext_set_time(*fs_, &inode, which, now);
  }
  if (S_ISCHR(node.mode) || S_ISBLK(node.mode)) set_device(&inode, node.rdev);
  return inode;
}

Result<void> ExtImage::put_target(NodeId ino, ExtInode* inode, const std::string& target) {
  TRY_EXT(
      ext2fs_inode_size_set(fs_->lib(), basic(inode), static_cast<ext2_off64_t>(target.size())));
  if (target.size() < sizeof inode->i_block) {
    std::memcpy(inode->i_block, target.data(), target.size());
    return {};
  }
  TRY(map_->start(inode, 0));
  TRY_ASSIGN(const ExtMap::Piece piece, map_->fill(ino, inode, 0, 1, false));
  std::vector<char> block(fs_->block_size());
  std::memcpy(block.data(), target.data(), target.size());
  return fs_->cache().write(piece.block * block.size(), block.size(), block.data());
}

/// What is behind a new inode: a directory's block, a link's text, an empty map.
Result<void> ExtImage::fill_new(NodeId ino, ExtInode* inode, NodeId parent,
                                const std::string* target) {
  if (S_ISDIR(inode->i_mode)) {
    inode->i_links_count = 2;
    TRY(fs_->store_new(ino, *inode));
    TRY(dirs_->make(ino, inode, parent));
    return fs_->store(ino, *inode);
  }
  if (S_ISREG(inode->i_mode)) TRY(map_->start(inode, 0));
  TRY(fs_->store_new(ino, *inode));
  if (!S_ISLNK(inode->i_mode)) return {};
  TRY(put_target(ino, inode, *target));
  return fs_->store(ino, *inode);
}

/// The inode was taken a moment ago, and no name leads to it.
void ExtImage::discard_new(NodeId ino, bool directory) {
  auto inode = fs_->load(ino);
  if (inode && inode->i_mode != 0) {
    inode->i_links_count = 0;
    if (fs_->store(ino, *inode) && free_inode(ino)) return;
  }
  fs_->alloc().give_inode(static_cast<ext2_ino_t>(ino), directory);
}

Result<NodeId> ExtImage::create(NodeId parent, std::string_view name, const NewNode& node,
                                const std::string* target) {
  TRY(check_new_name(parent, name));
  TRY(begin(0));
  return judge(create_at(parent, name, node, target));
}

Result<NodeId> ExtImage::create_at(NodeId parent, std::string_view name, const NewNode& wanted,
                                   const std::string* target) {
  TRY_ASSIGN(ExtInode above, fs_->load(parent));
  NewNode node = wanted;
  TRY_ASSIGN(const Acls acls, inherit(parent, &node.mode));
  const bool is_directory = S_ISDIR(node.mode);
  if (is_directory && above.i_links_count >= kMaxLinks &&
      !ext2fs_has_feature_dir_nlink(&fs_->super())) {
    return Errno(EMLINK);
  }
  TRY_ASSIGN(ExtInode inode, new_inode(node, above.i_flags));
  TRY_ASSIGN(const ext2_ino_t ino,
             fs_->alloc().take_inode(static_cast<ext2_ino_t>(parent), is_directory));
  map_->forget(ino);
  dirs_->forget(ino);
  acls_.erase(ino);
  Result<void> made = fill_new(ino, &inode, parent, target);
  if (made) made = put_acls(ino, acls);
  if (made) made = dirs_->add(parent, name, ino, node.mode);
  if (made && is_directory) made = change_links(parent, +1);
  if (!made) {
    discard_new(ino, is_directory);
    return made.error();
  }
  return NodeId{ino};
}

Result<NodeId> ExtImage::mknod(NodeId parent, std::string_view name, const NewNode& node) {
  if (S_ISDIR(node.mode) || S_ISLNK(node.mode)) return Errno(EINVAL);
  return create(parent, name, node, nullptr);
}

Result<NodeId> ExtImage::mkdir(NodeId parent, std::string_view name, const NewNode& node) {
  NewNode directory = node;
  directory.mode = (node.mode & 07777) | S_IFDIR;
  return create(parent, name, directory, nullptr);
}

Result<NodeId> ExtImage::symlink(NodeId parent, std::string_view name, const std::string& target,
                                 const NewNode& node) {
  if (target.empty()) return Errno(ENOENT);
  // One block holds the text and a NUL behind it.
  if (target.size() >= std::min<uint64_t>(PATH_MAX, fs_->block_size())) return Errno(ENAMETOOLONG);
  if (target.find('\0') != std::string::npos) return Errno(EINVAL);
  NewNode link = node;
  link.mode = S_IFLNK | 0777;
  return create(parent, name, link, &target);
}

Result<NodeId> ExtImage::make_nameless(NodeId parent, const NewNode& wanted) {
  if (!S_ISREG(wanted.mode)) return Errno(EINVAL);
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(const ExtInode above, judge(directory(parent)));
  TRY(begin(0));
  NewNode node = wanted;
  TRY_ASSIGN(const Acls acls, judge(inherit(parent, &node.mode)));
  TRY_ASSIGN(ExtInode inode, new_inode(node, above.i_flags));
  TRY_ASSIGN(const ext2_ino_t ino,
             judge(fs_->alloc().take_inode(static_cast<ext2_ino_t>(parent), false)));
  map_->forget(ino);
  acls_.erase(ino);
  inode.i_links_count = 0;
  TRY(map_->start(&inode, 0));
  TRY(judge(fs_->store_new(ino, inode)));
  TRY(judge(add_orphan(ino, &inode)));
  holds_[ino] = 1;
  if (const auto put = put_acls(ino, acls); !put) {
    TRY(release(ino));
    return judge<NodeId>(put.error());
  }
  return NodeId{ino};
}

Result<void> ExtImage::link(NodeId id, NodeId parent, std::string_view name) {
  TRY(check_new_name(parent, name));
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  if (S_ISDIR(inode.i_mode)) return Errno(EPERM);
  if (inode.i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)) return Errno(EPERM);
  if (inode.i_links_count >= kMaxLinks) return Errno(EMLINK);
  // linkat(2): a deleted file gets no name again, unless it never had one. Both are on the list.
  TRY(begin(0));
  TRY(judge(dirs_->add(parent, name, id, inode.i_mode)));
  TRY_ASSIGN(inode, judge(fs_->load(id)));
  if (inode.i_links_count == 0) TRY(judge(remove_orphan(id, &inode)));
  ++inode.i_links_count;
  ext_set_time(*fs_, &inode, ExtTime::kChange, ext_now());
  return judge(fs_->store(id, inode));
}

/// A directory with more subdirectories than can be counted has one link: dir_nlink.
Result<void> ExtImage::change_links(NodeId parent, int by) {
  TRY_ASSIGN(ExtInode inode, fs_->load(parent));
  if (inode.i_links_count == 1) return {};
  const int count = inode.i_links_count + by;
  inode.i_links_count = count > static_cast<int>(kMaxLinks) - 1 && by > 0 &&
                                ext2fs_has_feature_dir_nlink(&fs_->super())
                            ? uint16_t{1}
                            : static_cast<uint16_t>(std::max(count, 2));
  return fs_->store(parent, inode);
}

Result<void> ExtImage::check_removable(const ExtInode& parent, const ExtInode& inode) {
  if (parent.i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)) return Errno(EPERM);
  if (inode.i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)) return Errno(EPERM);
  return {};
}

/// A name of the node is gone. A directory has no other.
Result<void> ExtImage::drop_link(NodeId id) {
  TRY_ASSIGN(ExtInode inode, fs_->load(id));
  ext_set_time(*fs_, &inode, ExtTime::kChange, ext_now());
  inode.i_links_count = S_ISDIR(inode.i_mode) || inode.i_links_count == 0
                            ? uint16_t{0}
                            : static_cast<uint16_t>(inode.i_links_count - 1);
  if (inode.i_links_count != 0) return fs_->store(id, inode);
  if (held(id)) return add_orphan(id, &inode);
  TRY(fs_->store(id, inode));
  return free_inode(id);
}

Result<void> ExtImage::remove_name(NodeId parent, std::string_view name, bool want_directory) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(const ExtInode above, judge(directory(parent)));
  if (want_directory && name == ".") return Errno(EINVAL);
  if (want_directory && name == "..") return Errno(ENOTEMPTY);
  if (name == "." || name == "..") return Errno(EISDIR);
  TRY_ASSIGN(const NodeId id, lookup(parent, name));
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  TRY(check_removable(above, inode));
  if (S_ISDIR(inode.i_mode) != want_directory) return Errno(want_directory ? ENOTDIR : EISDIR);
  if (id == EXT2_ROOT_INO) return judge<void>(Errno(EUCLEAN));
  if (want_directory) {
    TRY_ASSIGN(const bool empty, judge(dirs_->empty(id)));
    if (!empty) return Errno(ENOTEMPTY);
  }
  TRY(begin(0));
  TRY(judge(dirs_->remove(parent, name)));
  if (want_directory) TRY(judge(change_links(parent, -1)));
  return judge(drop_link(id));
}

Result<void> ExtImage::unlink(NodeId parent, std::string_view name) {
  return remove_name(parent, name, false);
}

Result<void> ExtImage::rmdir(NodeId parent, std::string_view name) {
  return remove_name(parent, name, true);
}

}  // namespace viewsh
