// Flags, extended attributes and ACLs of an image that keeps them. fs/xattr.c, fs/namei.c
#include <algorithm>

#include "image_fs.h"

namespace viewsh {

Result<FileFlags> ImageFs::getflags(const std::string& path) {
  if (!own_meta()) return Errno(ENOSYS);
  TRY_ASSIGN(const Node node, find(path));
  return image().getflags(node.id);
}

/// xattr_permission().
Result<std::string> ImageFs::getxattr(const std::string& path, const std::string& name,
                                      const Caller& caller) {
  if (!own_meta()) return Errno(ENOSYS);
  TRY_ASSIGN(const Node node, find(path));
  if (name.starts_with("trusted.") && caller.in_view().uid != 0) return Errno(ENODATA);
  if (name.starts_with("user.")) {
    TRY_ASSIGN(const Attr attr, attr_of(node.id));
    if (!S_ISREG(attr.stx_mode) && !S_ISDIR(attr.stx_mode)) return Errno(ENODATA);
    if (!allows(node.id, attr, R_OK, caller)) return Errno(EACCES);
  }
  return image().getxattr(node.id, name);
}

Result<std::vector<std::string>> ImageFs::listxattr(const std::string& path, const Caller& caller) {
  if (!own_meta()) return Errno(ENOSYS);
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(std::vector<std::string> names, image().listxattr(node.id));
  if (caller.in_view().uid == 0) return names;
  std::erase_if(names, [](const std::string& name) { return name.starts_with("trusted."); });
  return names;
}

Result<void> ImageFs::permits(const std::string& path, int want, const Caller& caller) {
  if (!own_meta()) return Errno(ENOSYS);
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  // inode_permission(): what nobody may write, root may not either.
  const bool immutable = (attr.stx_attributes & STATX_ATTR_IMMUTABLE) != 0;
  if ((want & W_OK) != 0 && immutable) return Errno(EPERM);
  return allows(node.id, attr, want, caller) ? Result<void>() : Errno(EACCES);
}

}  // namespace viewsh
