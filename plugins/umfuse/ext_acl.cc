#include "ext_acl.h"

#include <endian.h>

#include <cstring>

#include "ext_attributes.h"
#include "ext_image.h"

namespace viewsh {
namespace {

constexpr uint16_t kUserObj = 1;
constexpr uint16_t kUser = 2;
constexpr uint16_t kGroupObj = 4;
constexpr uint16_t kGroup = 8;
constexpr uint16_t kMask = 16;
constexpr uint16_t kOther = 32;
constexpr size_t kEntry = 8;
constexpr uint32_t kVersion = 2;
constexpr size_t kShortEntry = 4;  ///< on disk, without an id
constexpr uint32_t kDiskVersion = 1;
constexpr uint32_t kNoId = 0xffffffff;

uint16_t get16(const char* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return le16toh(value);
}

Result<void> check(std::string_view acl) {
  uint32_t version = 0;
  if (acl.size() < kAclHeader) return Errno(EINVAL);
  std::memcpy(&version, acl.data(), sizeof version);
  if (le32toh(version) != kVersion) return Errno(EOPNOTSUPP);
  if ((acl.size() - kAclHeader) % kEntry != 0) return Errno(EINVAL);
  uint16_t seen = 0;
  for (size_t at = kAclHeader; at < acl.size(); at += kEntry) {
    const uint16_t tag = get16(acl.data() + at);
    const bool known = tag == kUserObj || tag == kUser || tag == kGroupObj || tag == kGroup ||
                       tag == kMask || tag == kOther;
    const bool again = (seen & tag) != 0 && tag != kUser && tag != kGroup;
    // In ascending order of tags.
    if (!known || again || tag < (seen == 0 ? 0 : 1u << (31 - __builtin_clz(seen))) ||
        get16(acl.data() + at + 2) > 7) {
      return Errno(EINVAL);
    }
    seen |= tag;
  }
  const uint16_t needed = kUserObj | kGroupObj | kOther;
  if (acl.size() > kAclHeader && (seen & needed) != needed) return Errno(EINVAL);
  if ((seen & (kUser | kGroup)) != 0 && (seen & kMask) == 0) return Errno(EINVAL);
  return {};
}

/// Which digit of the mode an entry is: how far left; -1: none.
int shift_of(uint16_t tag, bool has_mask) {
  switch (tag) {
    case kUserObj:
      return 6;
    case kGroupObj:
      return has_mask ? -1 : 3;
    case kMask:
      return 3;
    case kOther:
      return 0;
    default:
      return -1;
  }
}

bool find_mask(std::string_view acl) {
  for (size_t at = kAclHeader; at < acl.size(); at += kEntry) {
    if (get16(acl.data() + at) == kMask) return true;
  }
  return false;
}

}  // namespace

Result<bool> acl_to_mode(std::string_view acl, mode_t* mode) {
  TRY(check(acl));
  const bool has_mask = find_mask(acl);
  for (size_t at = kAclHeader; at < acl.size(); at += kEntry) {
    const int shift = shift_of(get16(acl.data() + at), has_mask);
    if (shift < 0) continue;
    *mode &= ~(7u << shift);
    *mode |= static_cast<mode_t>(get16(acl.data() + at + 2)) << shift;
  }
  return has_mask;
}

Result<std::string> acl_with_mode(std::string_view acl, mode_t mode) {
  TRY(check(acl));
  const bool has_mask = find_mask(acl);
  std::string changed(acl);
  for (size_t at = kAclHeader; at < acl.size(); at += kEntry) {
    const int shift = shift_of(get16(acl.data() + at), has_mask);
    if (shift < 0) continue;
    const uint16_t bits = htole16(static_cast<uint16_t>(mode >> shift & 7));
    std::memcpy(changed.data() + at + 2, &bits, sizeof bits);
  }
  return changed;
}

Result<bool> acl_of_new(std::string* acl, mode_t* mode) {
  TRY(check(*acl));
  const bool has_mask = find_mask(*acl);
  for (size_t at = kAclHeader; at < acl->size(); at += kEntry) {
    const int shift = shift_of(get16(acl->data() + at), has_mask);
    if (shift < 0) continue;
    const mode_t allowed = get16(acl->data() + at + 2) & (*mode >> shift) & 7U;
    *mode = (*mode & ~(7U << shift)) | allowed << shift;
    const uint16_t bits = htole16(static_cast<uint16_t>(allowed));
    std::memcpy(acl->data() + at + 2, &bits, sizeof bits);
  }
  return has_mask;
}

Result<std::string> acl_to_disk(std::string_view acl) {
  TRY(check(acl));
  const uint32_t version = htole32(kDiskVersion);
  std::string disk(reinterpret_cast<const char*>(&version), sizeof version);
  for (size_t at = kAclHeader; at < acl.size(); at += kEntry) {
    const uint16_t tag = get16(acl.data() + at);
    disk += acl.substr(at, tag == kUser || tag == kGroup ? kEntry : kShortEntry);
  }
  return disk;
}

Result<std::string> acl_from_disk(std::string_view disk) {
  uint32_t version = 0;
  if (disk.size() < kAclHeader) return Errno(EUCLEAN);
  std::memcpy(&version, disk.data(), sizeof version);
  if (le32toh(version) != kDiskVersion) return Errno(EUCLEAN);
  version = htole32(kVersion);
  std::string acl(reinterpret_cast<const char*>(&version), sizeof version);
  for (size_t at = kAclHeader; at < disk.size();) {
    if (disk.size() - at < kShortEntry) return Errno(EUCLEAN);
    const uint16_t tag = get16(disk.data() + at);
    const size_t size = tag == kUser || tag == kGroup ? kEntry : kShortEntry;
    if (disk.size() - at < size) return Errno(EUCLEAN);
    acl += disk.substr(at, size);
    if (size == kShortEntry) acl.append(reinterpret_cast<const char*>(&kNoId), sizeof kNoId);
    at += size;
  }
  if (!check(acl)) return Errno(EUCLEAN);
  return acl;
}

Result<ExtImage::Acls> ExtImage::acls(NodeId id) {
  constexpr size_t kMost = 65536;
  const auto known = acls_.find(id);
  if (known != acls_.end()) return known->second;
  ExtAttributes attributes;
  TRY(attributes.open(fs_.get(), id));
  const auto get = [&](std::string_view name) -> Result<std::string> {
    auto acl = attributes.get(std::string(name));
    return !acl && acl.error() == ENODATA ? std::string() : std::move(acl);
  };
  Acls found;
  TRY_ASSIGN(found.access, get(kAccessAcl));
  TRY_ASSIGN(found.standard, get(kDefaultAcl));
  if (acls_.size() >= kMost) acls_.clear();
  return acls_[id] = std::move(found);
}

std::optional<bool> ExtImage::acl_allows(NodeId id, const Attr& attr, int want,
                                         const Caller& caller) {
  const auto acls = judge(this->acls(id));
  if (!acls) return false;  // nobody knows what it forbids
  if (acls->access.size() <= kAclHeader) return std::nullopt;
  return acl_permits(acls->access, attr.stx_gid, want, caller);
}

/// The ACLs that a new node has from its directory's default one; *mode becomes what that leaves of
/// it. ext4_init_acl()
Result<ExtImage::Acls> ExtImage::inherit(NodeId parent, mode_t* mode) {
  Acls own;
  if (S_ISLNK(*mode)) return own;
  TRY_ASSIGN(const Acls above, acls(parent));
  if (above.standard.empty()) return own;
  std::string access = above.standard;
  TRY_ASSIGN(const bool more, acl_of_new(&access, mode));
  if (more) own.access = std::move(access);
  if (S_ISDIR(*mode)) own.standard = above.standard;
  return own;
}

Result<void> ExtImage::put_acls(NodeId id, const Acls& acls) {
  if (acls.access.empty() && acls.standard.empty()) return {};
  ExtAttributes attributes;
  TRY(attributes.open(fs_.get(), id, true));
  if (!acls.standard.empty()) TRY(attributes.set(std::string(kDefaultAcl), acls.standard));
  if (!acls.access.empty()) TRY(attributes.set(std::string(kAccessAcl), acls.access));
  return {};
}

/// chmod(2) of a file with an ACL changes that, too. fs/posix_acl.c, posix_acl_chmod().
Result<void> ExtImage::chmod_acl(NodeId id, mode_t mode) {
  ExtAttributes attributes;
  TRY(attributes.open(fs_.get(), id));
  const auto acl = attributes.get(std::string(kAccessAcl));
  if (!acl) return acl.error() == ENODATA ? Result<void>() : acl.error();
  const auto changed = acl_with_mode(*acl, mode);
  if (!changed) return Errno(EUCLEAN);
  acls_.erase(id);
  return attributes.set(std::string(kAccessAcl), *changed);
}

}  // namespace viewsh
