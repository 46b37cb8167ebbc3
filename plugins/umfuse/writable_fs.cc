// Names of an image that can be changed. What Linux checks, in its order: fs/namei.c.
#include "writable_fs.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <linux/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <vector>

namespace viewsh {
namespace {

bool in_group(gid_t gid, const Caller& caller) {
  return caller.gid == gid ||
         std::find(caller.groups.begin(), caller.groups.end(), gid) != caller.groups.end();
}

bool is_owner(const Attr& attr, const Caller& caller) {
  return caller.uid == 0 || caller.uid == attr.stx_uid;
}

/// may_linkat() with fs.protected_hardlinks, as Debian sets it.
bool may_link(const Attr& attr, const Caller& caller) {
  if (is_owner(attr, caller)) return true;
  const bool group_program = (attr.stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  return S_ISREG(attr.stx_mode) && (attr.stx_mode & S_ISUID) == 0 && !group_program &&
         image_allows(attr, R_OK | W_OK, caller);
}

}  // namespace

Result<WritableImageFs::Spot> WritableImageFs::spot(const std::string& path) {
  const size_t slash = path.rfind('/');
  const bool top = slash == std::string::npos;
  TRY_ASSIGN(const Node directory, find(top ? "" : path.substr(0, slash)));
  remember(directory);
  Spot spot;
  spot.directory = directory.id;
  spot.name = top ? path : path.substr(slash + 1);
  TRY_ASSIGN(spot.attr, attr_of(directory.id));
  if (!S_ISDIR(spot.attr.stx_mode)) return Errno(ENOTDIR);
  return spot;
}

/// filename_create() and may_create().
Result<WritableImageFs::Spot> WritableImageFs::free_spot(const std::string& path,
                                                         const Caller& caller) {
  if (path.empty()) return Errno(EEXIST);
  TRY_ASSIGN(Spot free, spot(path));
  const Result<NodeId> there = writable().lookup(free.directory, free.name);
  if (there) return Errno(EEXIST);
  if (!(there.error() == ENOENT)) return there.error();
  if (!image_allows(free.attr, W_OK | X_OK, caller)) return Errno(EACCES);
  return free;
}

/// may_delete().
Result<WritableImageFs::Victim> WritableImageFs::victim(const std::string& path,
                                                        const Caller& caller) {
  if (path.empty()) return Errno(EBUSY);
  Victim victim;
  TRY_ASSIGN(victim.spot, spot(path));
  TRY_ASSIGN(victim.node, writable().lookup(victim.spot.directory, victim.spot.name));
  TRY_ASSIGN(victim.attr, attr_of(victim.node));
  if (!image_allows(victim.spot.attr, W_OK | X_OK, caller)) return Errno(EACCES);
  const bool sticky = (victim.spot.attr.stx_mode & S_ISVTX) != 0;
  if (sticky && !is_owner(victim.attr, caller) && caller.uid != victim.spot.attr.stx_uid)
    return Errno(EPERM);
  return victim;
}

/// inode_init_owner() of fs/inode.c.
WritableImage::NewNode WritableImageFs::new_node(const Spot& spot, mode_t mode,
                                                 const Caller& caller) {
  WritableImage::NewNode node;
  node.mode = mode & ~(S_ISLNK(mode) ? 0U : caller.umask);
  node.uid = caller.uid;
  node.gid = caller.gid;
  if ((spot.attr.stx_mode & S_ISGID) == 0) return node;
  node.gid = spot.attr.stx_gid;
  if (S_ISDIR(mode)) {
    node.mode |= S_ISGID;
  } else if ((node.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && caller.uid != 0 &&
             !in_group(node.gid, caller)) {
    node.mode &= ~static_cast<mode_t>(S_ISGID);
  }
  return node;
}

Result<void> WritableImageFs::mkdir(const std::string& path, mode_t mode, const Caller& caller) {
  TRY_ASSIGN(const Spot spot, free_spot(path, caller));
  const mode_t kept = S_IRWXU | S_IRWXG | S_IRWXO | S_ISVTX;
  TRY_ASSIGN(const NodeId made, writable().mkdir(spot.directory, spot.name,
                                                 new_node(spot, S_IFDIR | (mode & kept), caller)));
  remember({made, {spot.directory, spot.name}});
  return {};
}

Result<void> WritableImageFs::mknod(const std::string& path, mode_t mode, dev_t dev,
                                    const Caller& caller) {
  TRY_ASSIGN(const Spot spot, free_spot(path, caller));
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  if ((S_ISCHR(mode) || S_ISBLK(mode)) && caller.uid != 0) return Errno(EPERM);
  WritableImage::NewNode node = new_node(spot, mode, caller);
  node.rdev = S_ISCHR(mode) || S_ISBLK(mode) ? dev : 0;
  TRY_ASSIGN(const NodeId made, writable().mknod(spot.directory, spot.name, node));
  remember({made, {spot.directory, spot.name}});
  return {};
}

Result<void> WritableImageFs::symlink(const std::string& path, const std::string& target,
                                      const Caller& caller) {
  TRY_ASSIGN(const Spot spot, free_spot(path, caller));
  TRY_ASSIGN(const NodeId made, writable().symlink(spot.directory, spot.name, target,
                                                   new_node(spot, S_IFLNK | 0777, caller)));
  remember({made, {spot.directory, spot.name}});
  return {};
}

Result<void> WritableImageFs::link(const std::string& from, const std::string& to,
                                   const Caller& caller) {
  TRY_ASSIGN(const Node node, find(from));
  remember(node);
  return link_node(node.id, to, caller);
}

Result<void> WritableImageFs::link_node(NodeId node, const std::string& to, const Caller& caller) {
  TRY_ASSIGN(const Attr attr, attr_of(node));
  TRY_ASSIGN(const Spot spot, free_spot(to, caller));
  if (!may_link(attr, caller) || S_ISDIR(attr.stx_mode)) return Errno(EPERM);
  TRY(writable().link(node, spot.directory, spot.name));
  remember({node, {spot.directory, spot.name}});
  return {};
}

/// A file that was made without a name (O_TMPFILE) is the host's until now; the image gets it here.
Result<void> WritableImageFs::link_host(const std::string& host_fd, const std::string& to,
                                        const Caller& caller) {
  struct stat native {};
  if (::stat(host_fd.c_str(), &native) < 0) return Errno::last();
  if (!S_ISREG(native.st_mode)) return Errno(EXDEV);
  Attr shown = {};
  shown.stx_dev_major = major(native.st_dev);
  shown.stx_dev_minor = minor(native.st_dev);
  shown.stx_ino = native.st_ino;
  if (const auto known = stage().node_of(shown); known) return link_node(*known, to, caller);
  TRY_ASSIGN(const Spot spot, free_spot(to, caller));
  const uint64_t bytes = static_cast<uint64_t>(native.st_blocks) * 512;
  if (pending().reserve(bytes) < bytes) return Errno(ENOSPC);
  WritableImage::NewNode made = new_node(spot, native.st_mode, {caller.uid, caller.gid, {}, 0});
  TRY_ASSIGN(const NodeId node, writable().mknod(spot.directory, spot.name, made));
  remember({node, {spot.directory, spot.name}});
  const Result<void> filled = adopt(node, spot.name, host_fd);
  if (filled) return {};
  gone(node, {}, spot, false);
  TRY(writable().unlink(spot.directory, spot.name));
  return filled;
}

Result<void> WritableImageFs::adopt(NodeId node, const std::string& name,
                                    const std::string& host_fd) {
  TRY_ASSIGN(const Attr attr, attr_of(node));
  TRY(stage().adopt(node, attr, name, host_fd));
  pending().begin(node, true);
  TRY_ASSIGN(const UniqueFd fd, stage().open_content(node, O_RDONLY));
  std::vector<char> names(XATTR_LIST_MAX);
  const ssize_t length = ::flistxattr(fd.get(), names.data(), names.size());
  for (ssize_t at = 0; at < length;) {
    const std::string attribute(names.data() + at);
    at += static_cast<ssize_t>(attribute.size()) + 1;
    std::vector<char> value(XATTR_SIZE_MAX);
    const ssize_t size = ::fgetxattr(fd.get(), attribute.c_str(), value.data(), value.size());
    if (size < 0 || !attribute.starts_with("user.")) continue;
    TRY(writable().setxattr(node, attribute, {value.data(), static_cast<size_t>(size)}, 0));
  }
  return pending().write_back(node);
}

bool WritableImageFs::used(NodeId node, const Attr& attr) const {
  return S_ISREG(attr.stx_mode) && stage().in_use(node);
}

void WritableImageFs::gone(NodeId node, const Attr& attr, const Spot& spot, bool used) {
  ImageStage::Ghost last;
  last.attr = attr;
  last.attr.stx_nlink = 0;
  last.parent = spot.directory;
  last.name = spot.name;
  stage().forget(node, used ? &last : nullptr);
  pending().forget(node);
  mounted().places.erase(node);
}

/// A name went, or leads elsewhere now.
void WritableImageFs::leave(const Victim& victim) {
  mounted().places.remove(victim.node, {victim.spot.directory, victim.spot.name});
}

Result<void> WritableImageFs::unlink(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(const Victim victim, this->victim(path, caller));
  if (S_ISDIR(victim.attr.stx_mode)) return Errno(EISDIR);
  const bool last = victim.attr.stx_nlink <= 1;
  const bool open = last && used(victim.node, victim.attr);
  TRY(writable().unlink(victim.spot.directory, victim.spot.name));
  leave(victim);
  if (last) gone(victim.node, victim.attr, victim.spot, open);
  return {};
}

Result<void> WritableImageFs::rmdir(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(const Victim victim, this->victim(path, caller));
  TRY(writable().rmdir(victim.spot.directory, victim.spot.name));
  gone(victim.node, victim.attr, victim.spot, false);
  return {};
}

/// vfs_rename(): of a directory that gets another parent `..` is written.
Result<void> WritableImageFs::rename(const std::string& from, const std::string& to, unsigned flags,
                                     const Caller& caller) {
  if (from.empty() || to.empty()) return Errno(EBUSY);
  TRY_ASSIGN(const Victim moved, victim(from, caller));
  TRY_ASSIGN(const Spot spot, this->spot(to));
  const Result<NodeId> there = writable().lookup(spot.directory, spot.name);
  if (!there && !(there.error() == ENOENT)) return there.error();
  std::optional<Victim> replaced;
  if (there) {
    if ((flags & RENAME_NOREPLACE) != 0) return Errno(EEXIST);
    if (*there == moved.node) return {};
    TRY_ASSIGN(replaced, victim(to, caller));
  } else if (!image_allows(spot.attr, W_OK | X_OK, caller)) {
    return Errno(EACCES);
  }
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  const bool elsewhere = spot.directory != moved.spot.directory;
  const auto stays = [&](const Attr& attr) {
    return elsewhere && S_ISDIR(attr.stx_mode) && !image_allows(attr, W_OK, caller);
  };
  if (stays(moved.attr) || (exchange && replaced && stays(replaced->attr))) return Errno(EACCES);
  const bool last =
      replaced && !exchange && (replaced->attr.stx_nlink <= 1 || S_ISDIR(replaced->attr.stx_mode));
  const bool open = last && used(replaced->node, replaced->attr);
  TRY(writable().rename(moved.spot.directory, moved.spot.name, spot.directory, spot.name, flags));
  leave(moved);
  if (replaced) leave(*replaced);
  if (last) gone(replaced->node, replaced->attr, replaced->spot, open);
  remember({moved.node, {spot.directory, spot.name}});
  if (exchange && replaced) remember({replaced->node, {moved.spot.directory, moved.spot.name}});
  // What a program is called when it runs; where that fails it has the old name.
  (void)stage().renamed(moved.node, moved.attr, spot.name);
  return {};
}

Result<struct statfs> WritableImageFs::statfs(const std::string& path) {
  // What can't be written is told by fsync(2).
  (void)pending().settle();
  TRY_ASSIGN(struct statfs out, ImageFs::statfs(path));
  out.f_flags &= ~static_cast<__fsword_t>(ST_RDONLY);
  return out;
}

Result<std::shared_ptr<FileSystem>> WritableImageFs::subtree(const std::string& path) {
  TRY_ASSIGN(const Node node, find(path));
  remember(node);
  return std::shared_ptr<FileSystem>(std::make_shared<WritableImageFs>(shared(), node.id));
}

uint64_t WritableImageFs::reserve(uint64_t bytes) { return pending().reserve(bytes); }

Result<void> WritableImageFs::sync_names(const std::string& host) {
  if (host.empty()) return sync_all();
  const std::optional<NodeId> node = stage().node_at(host);
  if (!node) return {};
  TRY(pending().write_back(*node));
  return writable().sync();
}

Result<void> WritableImageFs::sync_all() {
  const Result<void> written = pending().settle();
  const Result<void> synced = writable().sync();
  return written ? synced : written;
}

Result<void> WritableImageFs::shutdown() {
  if (mounted().closed) return {};
  mounted().closed = true;
  const Result<void> written = pending().write_back_all();
  const Result<void> closed = writable().close();
  return written ? closed : written;
}

}  // namespace viewsh
