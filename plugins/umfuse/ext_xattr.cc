#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>

#include "ext_acl.h"
#include "ext_attributes.h"
#include "ext_error.h"
#include "ext_image.h"
#include "ext_time.h"

namespace viewsh {
namespace {

constexpr size_t kMaxName = 255;
constexpr std::array<std::string_view, 3> kPrefixes = {"user.", "trusted.", "security."};

/// Is it one that a program may see? Others are how the file system keeps its own things.
bool known_name(std::string_view name) {
  if (name == kAccessAcl || name == kDefaultAcl) return true;
  return std::any_of(kPrefixes.begin(), kPrefixes.end(), [name](std::string_view prefix) {
    return name.size() > prefix.size() && name.substr(0, prefix.size()) == prefix;
  });
}

Result<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > kMaxName) return Errno(ERANGE);
  if (!known_name(name)) return Errno(EOPNOTSUPP);
  return {};
}

}  // namespace

Result<std::vector<std::string>> ExtImage::listxattr(NodeId id) {
  TRY(judge(node(id)));
  ExtAttributes attributes;
  TRY(judge(attributes.open(fs_.get(), id)));
  TRY_ASSIGN(std::vector<std::string> names, judge(attributes.names()));
  names.erase(std::remove_if(names.begin(), names.end(),
                             [](const std::string& name) { return !known_name(name); }),
              names.end());
  return names;
}

Result<std::string> ExtImage::getxattr(NodeId id, const std::string& name) {
  TRY(judge(node(id)));
  TRY(check_name(name));
  if (name == kAccessAcl || name == kDefaultAcl) {
    TRY_ASSIGN(const Acls acls, judge(this->acls(id)));
    const std::string& acl = name == kAccessAcl ? acls.access : acls.standard;
    return acl.empty() ? Result<std::string>(Errno(ENODATA)) : acl;
  }
  ExtAttributes attributes;
  TRY(judge(attributes.open(fs_.get(), id)));
  return judge(attributes.get(name));
}

Result<void> ExtImage::setxattr(NodeId id, const std::string& name, std::string_view value,
                                int flags) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  if (inode.i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)) return Errno(EPERM);
  TRY(check_name(name));
  if (value.size() > XATTR_SIZE_MAX) return Errno(E2BIG);
  bool drop = false;
  if (name == kAccessAcl || name == kDefaultAcl) {
    if (S_ISLNK(inode.i_mode)) return Errno(EOPNOTSUPP);
    if (name == kDefaultAcl && !S_ISDIR(inode.i_mode)) return Errno(EACCES);
    mode_t mode = inode.i_mode;
    TRY_ASSIGN(const bool more, acl_to_mode(value, &mode));
    drop = value.size() <= kAclHeader || (name == kAccessAcl && !more);
    if (name == kAccessAcl) inode.i_mode = static_cast<uint16_t>(mode);
  }
  if (value.size() > fs_->block_size()) return Errno(ENOSPC);
  TRY(begin(0));
  ExtAttributes attributes;
  TRY(judge(attributes.open(fs_.get(), id, true)));
  TRY_ASSIGN(const auto names, judge(attributes.names()));
  const bool there = std::find(names.begin(), names.end(), name) != names.end();
  if (there && (flags & XATTR_CREATE)) return Errno(EEXIST);
  if (!there && (flags & XATTR_REPLACE)) return Errno(ENODATA);
  const mode_t mode = inode.i_mode;
  acls_.erase(id);
  if (!drop) TRY(judge(attributes.set(name, value)));
  if (drop && there) TRY(judge(attributes.remove(name)));
  TRY_ASSIGN(inode, judge(fs_->load(id)));
  inode.i_mode = static_cast<uint16_t>(mode);
  ext_set_time(*fs_, &inode, ExtTime::kChange, ext_now());
  return judge(fs_->store(id, inode));
}

Result<void> ExtImage::removexattr(NodeId id, const std::string& name) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  if (inode.i_flags & (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)) return Errno(EPERM);
  TRY(check_name(name));
  TRY(begin(0));
  ExtAttributes attributes;
  acls_.erase(id);
  TRY(judge(attributes.open(fs_.get(), id)));
  TRY(judge(attributes.remove(name)));
  return judge(touch_change(id));
}

}  // namespace viewsh
