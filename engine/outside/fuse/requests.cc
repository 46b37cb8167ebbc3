// Requests about names and attributes. fuse_lowlevel.h says what each is asked and may answer.
#include "outside/fuse/requests.h"

#include <sys/sysmacros.h>

#include <cstring>

#include "viewsh/posix_acl.h"

namespace viewsh {

ServedTree& tree_of(fuse_req_t req) {
  auto& tree = *static_cast<ServedTree*>(fuse_req_userdata(req));
  tree.begin(fuse_req_ctx(req)->umask);
  return tree;
}

struct stat to_stat(const Attr& attr) {
  const auto time = [](const statx_timestamp& from) {
    return timespec{static_cast<time_t>(from.tv_sec), static_cast<long>(from.tv_nsec)};
  };
  struct stat out {};
  out.st_rdev = makedev(attr.stx_rdev_major, attr.stx_rdev_minor);
  out.st_ino = attr.stx_ino;
  out.st_mode = attr.stx_mode;
  out.st_nlink = attr.stx_nlink;
  out.st_uid = attr.stx_uid;
  out.st_gid = attr.stx_gid;
  out.st_size = static_cast<off_t>(attr.stx_size);
  out.st_blksize = static_cast<blksize_t>(attr.stx_blksize);
  out.st_blocks = static_cast<blkcnt_t>(attr.stx_blocks);
  out.st_atim = time(attr.stx_atime);
  out.st_mtim = time(attr.stx_mtime);
  out.st_ctim = time(attr.stx_ctime);
  return out;
}

fuse_entry_param to_entry(const ServedEntry& entry) {
  fuse_entry_param out{};
  out.ino = entry.id;
  out.generation = 1;
  out.attr = to_stat(entry.attr);
  out.attr_timeout = kBelieved;
  out.entry_timeout = kBelieved;
  return out;
}

void reply(fuse_req_t req, const Result<void>& done) { fuse_reply_err(req, done.error().value()); }

namespace {

void reply_entry(fuse_req_t req, const Result<ServedEntry>& entry) {
  if (!entry) return reply(req, entry.error());
  const fuse_entry_param out = to_entry(*entry);
  // The kernel gave up meanwhile, and doesn't know of the node.
  if (fuse_reply_entry(req, &out) == -ENOENT) tree_of(req).forget(entry->id, 1);
}

void reply_attr(fuse_req_t req, const Result<Attr>& attr) {
  if (!attr) return reply(req, attr.error());
  const struct stat out = to_stat(*attr);
  fuse_reply_attr(req, &out, kBelieved);
}

void do_lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
  reply_entry(req, tree_of(req).lookup(parent, name));
}

void do_forget(fuse_req_t req, fuse_ino_t node, uint64_t count) {
  tree_of(req).forget(node, count);
  fuse_reply_none(req);
}

void do_forget_multi(fuse_req_t req, size_t count, fuse_forget_data* forgets) {
  ServedTree& tree = tree_of(req);
  for (size_t i = 0; i < count; ++i) tree.forget(forgets[i].ino, forgets[i].nlookup);
  fuse_reply_none(req);
}

void do_getattr(fuse_req_t req, fuse_ino_t node, fuse_file_info*) {
  reply_attr(req, tree_of(req).getattr(node));
}

SetAttr to_set(const struct stat& attr, int which) {
  SetAttr set;
  if ((which & FUSE_SET_ATTR_MODE) != 0) set.mode = attr.st_mode & 07777;
  if ((which & FUSE_SET_ATTR_UID) != 0) set.uid = attr.st_uid;
  if ((which & FUSE_SET_ATTR_GID) != 0) set.gid = attr.st_gid;
  if ((which & FUSE_SET_ATTR_SIZE) != 0) set.size = static_cast<uint64_t>(attr.st_size);
  const timespec now{0, UTIME_NOW};
  if ((which & FUSE_SET_ATTR_ATIME) != 0) set.atime = attr.st_atim;
  if ((which & FUSE_SET_ATTR_MTIME) != 0) set.mtime = attr.st_mtim;
  if ((which & FUSE_SET_ATTR_ATIME_NOW) != 0) set.atime = now;
  if ((which & FUSE_SET_ATTR_MTIME_NOW) != 0) set.mtime = now;
  return set;
}

void do_setattr(fuse_req_t req, fuse_ino_t node, struct stat* attr, int which, fuse_file_info* fi) {
  auto* file = fi == nullptr ? nullptr : reinterpret_cast<ServedFile*>(fi->fh);
  reply_attr(req, tree_of(req).setattr(node, to_set(*attr, which), file));
}

void do_readlink(fuse_req_t req, fuse_ino_t node) {
  const Result<std::string> target = tree_of(req).readlink(node);
  if (!target) return reply(req, target.error());
  fuse_reply_readlink(req, target->c_str());
}

void do_mknod(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode, dev_t dev) {
  reply_entry(req, tree_of(req).mknod(parent, name, mode, dev));
}

void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t mode) {
  reply_entry(req, tree_of(req).mkdir(parent, name, mode));
}

void do_symlink(fuse_req_t req, const char* target, fuse_ino_t parent, const char* name) {
  reply_entry(req, tree_of(req).symlink(parent, name, target));
}

void do_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent, const char* name) {
  reply_entry(req, tree_of(req).link(node, parent, name));
}

void do_unlink(fuse_req_t req, fuse_ino_t parent, const char* name) {
  reply(req, tree_of(req).unlink(parent, name));
}

void do_rmdir(fuse_req_t req, fuse_ino_t parent, const char* name) {
  reply(req, tree_of(req).rmdir(parent, name));
}

void do_rename(fuse_req_t req, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags) {
  reply(req, tree_of(req).rename(parent, name, new_parent, new_name, flags));
}

void do_statfs(fuse_req_t req, fuse_ino_t node) {
  const Result<struct statfs> found = tree_of(req).statfs(node);
  if (!found) return reply(req, found.error());
  struct statvfs out {};
  out.f_bsize = static_cast<unsigned long>(found->f_bsize);
  out.f_frsize =
      static_cast<unsigned long>(found->f_frsize != 0 ? found->f_frsize : found->f_bsize);
  out.f_blocks = found->f_blocks;
  out.f_bfree = found->f_bfree;
  out.f_bavail = found->f_bavail;
  out.f_files = found->f_files;
  out.f_ffree = found->f_ffree;
  out.f_namemax = static_cast<unsigned long>(found->f_namelen);
  fuse_reply_statfs(req, &out);
}

/// `size`: that of the caller's buffer, 0 where it asks how large that has to be.
void reply_xattr(fuse_req_t req, const Result<std::string>& value, size_t size) {
  if (!value) return reply(req, value.error());
  if (size == 0) {
    fuse_reply_xattr(req, value->size());
  } else if (value->size() > size) {
    fuse_reply_err(req, ERANGE);
  } else {
    fuse_reply_buf(req, value->data(), value->size());
  }
}

void do_getxattr(fuse_req_t req, fuse_ino_t node, const char* name, size_t size) {
  Result<std::string> value = tree_of(req).getxattr(node, name);
  // Where there can be no ACL, there is none: the kernel takes any other error for one of the call
  // that it checks permission for. fs/fuse/acl.c
  const bool acl = name == kAccessAcl || name == kDefaultAcl;
  if (acl && value.error() == EOPNOTSUPP) value = Errno(ENODATA);
  reply_xattr(req, value, size);
}

void do_listxattr(fuse_req_t req, fuse_ino_t node, size_t size) {
  reply_xattr(req, tree_of(req).listxattr(node), size);
}

void do_setxattr(fuse_req_t req, fuse_ino_t node, const char* name, const char* value, size_t size,
                 int flags) {
  reply(req, tree_of(req).setxattr(node, name, {value, size}, flags));
}

void do_removexattr(fuse_req_t req, fuse_ino_t node, const char* name) {
  reply(req, tree_of(req).removexattr(node, name));
}

void do_init(void*, fuse_conn_info* conn) {
  // A directory's default ACL says more than the umask.
  conn->want |= conn->capable & FUSE_CAP_DONT_MASK;
  // The kernel asks for ACLs, and checks permission by them.
  conn->want |= conn->capable & FUSE_CAP_POSIX_ACL;
  // What is read and written goes through memory.
  conn->want &=
      ~static_cast<unsigned>(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
}

}  // namespace

fuse_lowlevel_ops make_requests() {
  fuse_lowlevel_ops ops{};
  ops.init = do_init;
  ops.lookup = do_lookup;
  ops.forget = do_forget;
  ops.forget_multi = do_forget_multi;
  ops.getattr = do_getattr;
  ops.setattr = do_setattr;
  ops.readlink = do_readlink;
  ops.mknod = do_mknod;
  ops.mkdir = do_mkdir;
  ops.symlink = do_symlink;
  ops.link = do_link;
  ops.unlink = do_unlink;
  ops.rmdir = do_rmdir;
  ops.rename = do_rename;
  ops.statfs = do_statfs;
  ops.getxattr = do_getxattr;
  ops.listxattr = do_listxattr;
  ops.setxattr = do_setxattr;
  ops.removexattr = do_removexattr;
  add_file_requests(&ops);
  return ops;
}

}  // namespace viewsh
