// Flags, extended attributes and ACLs where the lower keeps them itself (FileSystem::own_meta()):
// of what is not in the layer it is asked; a copy has them on the host, whose kernel knows ACLs,
// but not whose file it is.
#include <sys/stat.h>

#include "cow_fs.h"
#include "cow_host.h"
#include "host_ops.h"
#include "viewsh/posix_acl.h"

namespace viewsh::viewfs {

Result<std::optional<std::string>> CowFs::asked_below(const std::string& path) {
  using Answer = std::optional<std::string>;
  if (!own_meta_) return Answer();
  TRY_ASSIGN(const Place place, look_existing(path));
  const bool own = place.what == Place::What::kUpper || place.copied != nullptr;
  return own ? Answer() : Answer(place.lower);
}

Result<FileFlags> CowFs::getflags(const std::string& path) {
  TRY_ASSIGN(const auto lower, asked_below(path));
  return lower ? lower_->getflags(*lower) : Errno(ENOSYS);
}

Result<std::string> CowFs::getxattr(const std::string& path, const std::string& name,
                                    const Caller& caller) {
  TRY_ASSIGN(const auto lower, asked_below(path));
  return lower ? lower_->getxattr(*lower, name, caller) : Errno(ENOSYS);
}

Result<std::vector<std::string>> CowFs::listxattr(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(const auto lower, asked_below(path));
  return lower ? lower_->listxattr(*lower, caller) : Errno(ENOSYS);
}

Result<void> CowFs::permits(const std::string& path, int want, const Caller& caller) {
  if (!own_meta_) return Errno(ENOSYS);
  TRY_ASSIGN(const Place place, look_existing(path));
  // What would be copied can be changed, but that isn't what is asked.
  if (minimal_ && place.what == Place::What::kLower) {
    return lower_->permits(place.lower, want, caller);
  }
  return caller.root() ? Errno(ENOSYS) : may_access(place, want, caller);
}

Result<Xattrs> CowFs::xattrs_of_lower(const std::string& lower, const std::string& content) {
  static const Caller kRoot{};  // all of them
  const auto names = own_meta_ ? lower_->listxattr(lower, kRoot) : Errno(ENOSYS);
  if (!names && names.error() == ENOSYS) {
    if (!content.empty()) return read_xattrs(LongPath(content));
    TRY_ASSIGN(const std::string host, meta_host_of_lower(lower));
    return read_xattrs(LongPath(host));
  }
  if (!names) return names.error();
  Xattrs out;
  for (const std::string& name : *names) {
    if (!is_kept_xattr(name)) continue;
    TRY_ASSIGN(out[name], lower_->getxattr(lower, name, kRoot));
  }
  return out;
}

const std::string& CowFs::acl_of(const Node* node) {
  constexpr size_t kMost = 65536;
  const uint64_t ino = node->meta ? node->meta->upper_ino : 0;
  const auto known = acls_.find(ino);
  if (ino != 0 && known != acls_.end()) return known->second;
  if (acls_.size() >= kMost) acls_.clear();
  return acls_[ino] = access_acl(LongPath(layer_->upper_fd(), Index::path_of(node)));
}

bool CowFs::recorded_allows(const Node* node, mode_t mode, const LowerOwner& owner, int want,
                            const Caller& caller) {
  if (caller.uid != owner.uid && (mode & S_IRWXG) != 0) {
    const std::string& acl = acl_of(node);
    if (acl.size() > kAclHeader) return acl_permits(acl, owner.gid, want, caller);
  }
  return host_ops::bits_allow(mode, owner.uid, owner.gid, want, caller);
}

}  // namespace viewsh::viewfs
