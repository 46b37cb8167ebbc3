#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <climits>
#include <ctime>

#include "fuse_bytes.h"
#include "fuse_image.h"

namespace viewsh {
namespace {

/// fsync(2) is for what a server can open; it would wait at a FIFO.
bool can_be_synced(mode_t type) { return S_ISREG(type) || S_ISDIR(type); }

/// FUSE_SUPER_MAGIC of fs/fuse/inode.c.
constexpr long kMagic = 0x65735546;

/// One of the times of SetAttr. With UTIME_NOW the server takes its own time; ours goes with it.
void add_time(const std::optional<timespec>& time, uint32_t flag, uint32_t now_flag,
              uint32_t* valid, uint64_t* seconds, uint32_t* nanoseconds) {
  if (!time || time->tv_nsec == UTIME_OMIT) return;
  timespec value = *time;
  *valid |= flag;
  if (time->tv_nsec == UTIME_NOW) {
    *valid |= now_flag;
    ::clock_gettime(CLOCK_REALTIME, &value);
  }
  *seconds = static_cast<uint64_t>(value.tv_sec);
  *nanoseconds = static_cast<uint32_t>(value.tv_nsec);
}

fuse_setattr_in setattr_in(const FuseNode& node, const SetAttr& set) {
  fuse_setattr_in in = {};
  if (set.mode) {
    in.valid |= FATTR_MODE;
    in.mode = node.type | (*set.mode & 07777);
  }
  if (set.uid) {
    in.valid |= FATTR_UID;
    in.uid = *set.uid;
  }
  if (set.gid) {
    in.valid |= FATTR_GID;
    in.gid = *set.gid;
  }
  if (set.size) {
    in.valid |= FATTR_SIZE;
    in.size = *set.size;
    if (node.handle != nullptr && node.handle->can_write()) {
      in.valid |= FATTR_FH;
      in.fh = node.handle->fh();
    }
  }
  add_time(set.atime, FATTR_ATIME, FATTR_ATIME_NOW, &in.valid, &in.atime, &in.atimensec);
  add_time(set.mtime, FATTR_MTIME, FATTR_MTIME_NOW, &in.valid, &in.mtime, &in.mtimensec);
  return in;
}

/// ENOSYS means that there are no extended attributes. fs/fuse/xattr.c.
Errno no_xattrs() { return Errno(EOPNOTSUPP); }

}  // namespace

Result<void> FuseImage::setattr(NodeId id, const SetAttr& set) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (set.size && S_ISDIR(node->type)) return Errno(EISDIR);
  if (set.size && !S_ISREG(node->type)) return Errno(EINVAL);
  if (set.size && *set.size > static_cast<uint64_t>(INT64_MAX)) return Errno(EFBIG);
  const fuse_setattr_in in = setattr_in(*node, set);
  if (in.valid == 0) return {};
  return ask_setattr(node, in);
}

Result<void> FuseImage::resize_open(NodeId id, uint64_t size) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  SetAttr set;
  set.size = size;
  const auto opened = node->opened;
  const auto writes = std::find_if(opened.begin(), opened.end(), [](const Handle& handle) {
    return handle != nullptr && handle->can_write();
  });
  if (writes == opened.end() || node->handle != nullptr) return setattr(id, set);
  fuse_setattr_in in = setattr_in(*node, set);
  in.valid |= FATTR_FH;
  in.fh = (*writes)->fh();
  return ask_setattr(node, in);
}

Result<void> FuseImage::ask_setattr(const Ref& node, const fuse_setattr_in& in) {
  const NodeId id = node->id;
  TRY(session_.ready());
  const size_t size = session_.attr_out_size();
  nodes_.stale(node.get());
  const uint64_t version = node->version;
  const auto reply = session_.ask(FUSE_SETATTR, id, {fuse_bytes(in)}, size, size);
  // Interrupted, it may have been done.
  node->attr_end = 0;
  if (!reply) return reply.error();
  if (can_be_synced(node->type)) unsynced_.emplace(id, S_ISDIR(node->type));
  fuse_attr_out out;
  if (!fuse_get_old(*reply, 0, size, &out)) return Errno(EIO);
  return nodes_.take_attr(node, out.attr, out.attr_valid, out.attr_valid_nsec, version);
}

Result<std::string> FuseImage::getxattr(NodeId id, const std::string& name) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (name.size() > XATTR_NAME_MAX) return Errno(ERANGE);
  if (session_.lacks(FUSE_GETXATTR)) return no_xattrs();
  fuse_getxattr_in in = {};
  in.size = XATTR_SIZE_MAX;
  return session_.optional<std::string>(
      FUSE_GETXATTR,
      session_.ask(FUSE_GETXATTR, node->id,
                   {fuse_bytes(in), std::string_view(name.c_str(), name.size() + 1)}, 0, in.size),
      no_xattrs());
}

Result<std::vector<std::string>> FuseImage::listxattr(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (session_.lacks(FUSE_LISTXATTR)) return no_xattrs();
  fuse_getxattr_in in = {};
  in.size = XATTR_LIST_MAX;
  TRY_ASSIGN(
      const std::string list,
      session_.optional<std::string>(
          FUSE_LISTXATTR, session_.ask(FUSE_LISTXATTR, node->id, {fuse_bytes(in)}, 0, in.size),
          no_xattrs()));
  std::vector<std::string> names;
  size_t at = 0;
  while (at < list.size()) {
    const size_t end = list.find('\0', at);
    // fuse_verify_xattr_list() of the kernel.
    if (end == std::string::npos || end == at) return Errno(EIO);
    names.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

Result<void> FuseImage::setxattr(NodeId id, const std::string& name, std::string_view value,
                                 int flags) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (name.empty() || name.size() > XATTR_NAME_MAX) return Errno(ERANGE);
  if (value.size() > XATTR_SIZE_MAX) return Errno(E2BIG);
  if (session_.lacks(FUSE_SETXATTR)) return no_xattrs();
  fuse_setxattr_in in = {};
  in.size = static_cast<uint32_t>(value.size());
  in.flags = static_cast<uint32_t>(flags);
  const auto set = session_.optional<void>(
      FUSE_SETXATTR,
      session_.ask_nothing(FUSE_SETXATTR, id,
                           {fuse_bytes(in).substr(0, FUSE_COMPAT_SETXATTR_IN_SIZE),
                            std::string_view(name.c_str(), name.size() + 1), value}),
      no_xattrs());
  nodes_.stale(node.get());
  if (set && can_be_synced(node->type)) unsynced_.emplace(id, S_ISDIR(node->type));
  return set;
}

Result<void> FuseImage::removexattr(NodeId id, const std::string& name) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (name.empty() || name.size() > XATTR_NAME_MAX) return Errno(ERANGE);
  if (session_.lacks(FUSE_REMOVEXATTR)) return no_xattrs();
  const auto removed = session_.optional<void>(
      FUSE_REMOVEXATTR,
      session_.ask_nothing(FUSE_REMOVEXATTR, id, {std::string_view(name.c_str(), name.size() + 1)}),
      no_xattrs());
  nodes_.stale(node.get());
  if (removed && can_be_synced(node->type)) unsynced_.emplace(id, S_ISDIR(node->type));
  return removed;
}

Result<struct statfs> FuseImage::statfs() {
  TRY_ASSIGN(const std::string reply,
             session_.ask(FUSE_STATFS, FUSE_ROOT_ID, {}, sizeof(fuse_statfs_out),
                          sizeof(fuse_statfs_out)));
  fuse_statfs_out out;
  if (!fuse_get(reply, 0, &out)) return Errno(EIO);
  struct statfs is = {};
  is.f_type = kMagic;
  is.f_bsize = out.st.bsize;
  is.f_frsize = out.st.frsize;
  is.f_blocks = out.st.blocks;
  is.f_bfree = out.st.bfree;
  is.f_bavail = out.st.bavail;
  is.f_files = out.st.files;
  is.f_ffree = out.st.ffree;
  is.f_namelen = out.st.namelen;
  return is;
}

}  // namespace viewsh
