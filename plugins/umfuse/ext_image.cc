#include "ext_image.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>

#include "ext_error.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// Blocks that an operation on names may need.
constexpr uint64_t kNameBlocks = 24;
/// Features that ext3 and ext2 know, too.
constexpr uint32_t kExt3Incompat =
    EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_RECOVER | EXT2_FEATURE_INCOMPAT_META_BG;
constexpr uint32_t kExt3RoCompat =
    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE;
constexpr time_t kDay = 24 * 60 * 60;

dev_t device_of(const ExtInode& inode) {
  if (inode.i_block[0] != 0) {
    return makedev(inode.i_block[0] >> 8 & 0xff, inode.i_block[0] & 0xff);
  }
  const uint32_t wide = inode.i_block[1];
  return makedev((wide & 0xfff00) >> 8, (wide & 0xff) | (wide >> 12 & 0xfff00));
}

statx_timestamp stamp(timespec time) {
  statx_timestamp stamp = {};
  stamp.tv_sec = time.tv_sec;
  stamp.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return stamp;
}

bool before(timespec a, timespec b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

}  // namespace

std::string_view ExtImage::type() const {
  const ext2_super_block& super = fs_->super();
  if ((super.s_feature_incompat & ~kExt3Incompat) != 0 ||
      (super.s_feature_ro_compat & ~kExt3RoCompat) != 0) {
    return "ext4";
  }
  return super.s_feature_compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL ? "ext3" : "ext2";
}

Result<ExtInode> ExtImage::node(NodeId node) {
  const bool own = node == EXT2_ROOT_INO;
  if (!own && node < EXT2_FIRST_INO(&fs_->super())) return Errno(ESTALE);
  TRY_ASSIGN(const ExtInode inode, fs_->load(node));
  if (inode.i_mode == 0 || (inode.i_links_count == 0 && !held(node))) return Errno(ESTALE);
  if (ext_file_type(inode.i_mode) == EXT2_FT_UNKNOWN) return Errno(EUCLEAN);
  // What is shown as a file is none to the file system: journals, quotas, large attributes.
  if (inode.i_flags & EXT4_EA_INODE_FL) return Errno(EUCLEAN);
  if (own && !S_ISDIR(inode.i_mode)) return Errno(EUCLEAN);
  return inode;
}

Result<ExtInode> ExtImage::directory(NodeId directory) {
  TRY_ASSIGN(const ExtInode inode, node(directory));
  if (!S_ISDIR(inode.i_mode)) return Errno(ENOTDIR);
  return inode;
}

Result<void> ExtImage::begin(uint64_t blocks) {
  fs_->alloc().set_privileged(
      options_.uid == 0 || options_.uid == fs_->super().s_def_resuid ||
      (fs_->super().s_def_resgid != 0 && options_.gid == fs_->super().s_def_resgid));
  return fs_->breathe(blocks + kNameBlocks);
}

void ExtImage::damaged() {
  fs_->found_error();
  fs_->super_changed();
  using Errors = ExtOptions::Errors;
  const bool said = fs_->super().s_errors == EXT2_ERRORS_RO ||
                    fs_->super().s_errors == EXT2_ERRORS_PANIC;  // tune2fs -e
  if (options_.errors == Errors::kRemountRo || (options_.errors == Errors::kAsTheImageSays && said))
    fs_->make_read_only();
}

Result<NodeId> ExtImage::lookup(NodeId parent, std::string_view name) {
  TRY(judge(directory(parent)));
  if (name.size() > EXT2_NAME_LEN) return Errno(ENAMETOOLONG);
  if (!ext_good_name(name)) return Errno(ENOENT);
  TRY_ASSIGN(const ExtDirs::Found found, judge(dirs_->lookup(parent, name)));
  const auto there = judge(node(found.ino));
  if (!there) return there.error() == ESTALE ? Errno(EUCLEAN) : there.error();
  return NodeId{found.ino};
}

Result<Attr> ExtImage::getattr(NodeId id) {
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  Attr attr = {};
  attr.stx_mask = STATX_BASIC_STATS;
  attr.stx_blksize = static_cast<uint32_t>(fs_->block_size());
  attr.stx_nlink = inode.i_links_count;
  attr.stx_uid = inode_uid(*basic(&inode));
  attr.stx_gid = inode_gid(*basic(&inode));
  attr.stx_mode = inode.i_mode;
  attr.stx_ino = id;
  attr.stx_size = EXT2_I_SIZE(basic(&inode));
  attr.stx_blocks = ext2fs_get_stat_i_blocks(fs_->lib(), const_cast<ext2_inode*>(basic(&inode)));
  attr.stx_atime = stamp(ext_get_time(*fs_, inode, ExtTime::kAccess));
  attr.stx_mtime = stamp(ext_get_time(*fs_, inode, ExtTime::kModify));
  attr.stx_ctime = stamp(ext_get_time(*fs_, inode, ExtTime::kChange));
  if (ext_has_birth(*fs_, inode)) {
    attr.stx_mask |= STATX_BTIME;
    attr.stx_btime = stamp(ext_get_time(*fs_, inode, ExtTime::kBirth));
  }
  if (S_ISCHR(inode.i_mode) || S_ISBLK(inode.i_mode)) {
    attr.stx_rdev_major = major(device_of(inode));
    attr.stx_rdev_minor = minor(device_of(inode));
  }
  attr.stx_attributes_mask =
      STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP | STATX_ATTR_ENCRYPTED;
  if (inode.i_flags & EXT2_IMMUTABLE_FL) attr.stx_attributes |= STATX_ATTR_IMMUTABLE;
  if (inode.i_flags & EXT2_APPEND_FL) attr.stx_attributes |= STATX_ATTR_APPEND;
  if (inode.i_flags & EXT2_NODUMP_FL) attr.stx_attributes |= STATX_ATTR_NODUMP;
  if (inode.i_flags & EXT4_ENCRYPT_FL) attr.stx_attributes |= STATX_ATTR_ENCRYPTED;
  return attr;
}

Result<std::vector<DirEntry>> ExtImage::list(NodeId parent) {
  TRY(judge(directory(parent)));
  TRY_ASSIGN(auto names, judge(dirs_->list(parent)));
  touch_access(parent);
  return names;
}

Result<std::string> ExtImage::readlink(NodeId id) {
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  if (!S_ISLNK(inode.i_mode)) return Errno(EINVAL);
  if (inode.i_flags & EXT4_ENCRYPT_FL) return Errno(ENOKEY);
  const uint64_t size = EXT2_I_SIZE(basic(&inode));
  if (size == 0 || size >= PATH_MAX) return judge<std::string>(Errno(EUCLEAN));
  std::string text(size, '\0');
  if (is_inline(inode)) {
    TRY_ASSIGN(const std::vector<char> data, judge(ext_load_inline(fs_.get(), id)));
    if (data.size() < size) return judge<std::string>(Errno(EUCLEAN));
    std::memcpy(text.data(), data.data(), size);
  } else if (ext2fs_is_fast_symlink(const_cast<ext2_inode*>(basic(&inode)))) {
    std::memcpy(text.data(), inode.i_block, size);
  } else {
    std::vector<char> block(fs_->block_size());
    TRY_ASSIGN(const ExtMap::Piece piece, judge(map_->find(id, inode, 0, 1)));
    if (piece.block == 0 || size > block.size()) return judge<std::string>(Errno(EUCLEAN));
    TRY(fs_->cache().read(piece.block * block.size(), block.size(), block.data()));
    std::memcpy(text.data(), block.data(), size);
  }
  if (text.find('\0') != std::string::npos) return judge<std::string>(Errno(EUCLEAN));
  touch_access(id);
  return text;
}

Result<struct statfs> ExtImage::statfs() {
  ext2_super_block& super = fs_->super();
  struct statfs result = {};
  result.f_type = EXT4_SUPER_MAGIC;
  result.f_bsize = static_cast<__fsword_t>(fs_->block_size());
  result.f_frsize = result.f_bsize;
  const uint64_t blocks = ext2fs_blocks_count(&super);
  const uint64_t overhead = fs_->alloc().overhead();
  const uint64_t free = std::min<uint64_t>(ext2fs_free_blocks_count(&super), blocks);
  const uint64_t reserved = ext2fs_r_blocks_count(&super);
  result.f_blocks = blocks > overhead ? blocks - overhead : 0;
  result.f_bfree = free;
  result.f_bavail = free > reserved ? free - reserved : 0;
  result.f_files = super.s_inodes_count;
  result.f_ffree = super.s_free_inodes_count;
  result.f_namelen = EXT2_NAME_LEN;
  uint64_t id[2];
  std::memcpy(id, super.s_uuid, sizeof id);
  const uint64_t mixed = id[0] ^ id[1];
  std::memcpy(&result.f_fsid, &mixed, sizeof result.f_fsid);
  return result;
}

/// As relatime: at most once a day, and after each change. An error is none of the reader's.
void ExtImage::touch_access(NodeId id) {
  if (options_.noatime || !fs_->writable()) return;
  auto inode = fs_->load(id);
  if (!inode || (inode->i_flags & (EXT2_NOATIME_FL | EXT2_IMMUTABLE_FL)) != 0) return;
  const timespec now = ext_now();
  const timespec last = ext_get_time(*fs_, *inode, ExtTime::kAccess);
  if (before(ext_get_time(*fs_, *inode, ExtTime::kModify), last) &&
      before(ext_get_time(*fs_, *inode, ExtTime::kChange), last) &&
      now.tv_sec - last.tv_sec < kDay) {
    return;
  }
  ext_set_time(*fs_, &*inode, ExtTime::kAccess, now);
  if (!begin(0)) return;
  (void)fs_->store(id, *inode);
}

Result<void> ExtImage::hold(NodeId id) {
  TRY(judge(node(id)));
  ++holds_[id];
  return {};
}

Result<void> ExtImage::release(NodeId id) {
  const auto it = holds_.find(id);
  if (it == holds_.end()) return Errno(EINVAL);
  if (--it->second > 0) return {};
  const auto inode = node(id);
  holds_.erase(it);
  if (!inode || inode->i_links_count != 0 || !fs_->writable()) return {};
  TRY(begin(0));
  return judge(free_inode(id));
}

Result<void> ExtImage::sync() {
  if (!fs_->writable()) return {};
  return fs_->commit();
}

}  // namespace viewsh
