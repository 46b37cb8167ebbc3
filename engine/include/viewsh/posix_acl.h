#pragma once

#include <endian.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "viewsh/filesystem.h"

namespace viewsh {

inline constexpr std::string_view kAccessAcl = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAcl = "system.posix_acl_default";
/// An ACL as getxattr(2) gives it is a version in so many bytes, then entries in the order of their
/// tags: a tag, permissions, an id. <linux/posix_acl_xattr.h>
inline constexpr size_t kAclHeader = 4;
inline constexpr size_t kAclEntry = 8;

/// Tags of <linux/posix_acl.h>.
enum class AclTag : uint16_t {
  kUserObj = 1,
  kUser = 2,
  kGroupObj = 4,
  kGroup = 8,
  kMask = 16,
  kOther = 32,
};

/// One entry; what is cut off is no entry.
struct AclEntry {
  AclTag tag;
  uint16_t bits;
  uint32_t id;

  static AclEntry at(std::string_view acl, size_t offset) {
    uint16_t tag = 0;
    AclEntry entry{};
    std::memcpy(&tag, acl.data() + offset, sizeof tag);
    std::memcpy(&entry.bits, acl.data() + offset + 2, sizeof entry.bits);
    std::memcpy(&entry.id, acl.data() + offset + 4, sizeof entry.id);
    return {AclTag{le16toh(tag)}, le16toh(entry.bits), le32toh(entry.id)};
  }
};

/// Does an ACL with entries give R_OK, W_OK, X_OK (`want`) to a caller who is neither the owner nor
/// root? `group`: of the node. Where the group's bits of the mode are empty no ACL is asked.
/// posix_acl_permission() of fs/posix_acl.c, acl_permission_check() of fs/namei.c
inline bool acl_permits(std::string_view acl, gid_t group, int want, const Caller& caller) {
  const auto wanted = static_cast<unsigned>(want) & 7U;
  const auto gives = [wanted](unsigned bits) { return (bits & wanted) == wanted; };
  const auto is_member = [&caller](gid_t gid) {
    return caller.gid == gid ||
           std::find(caller.groups.begin(), caller.groups.end(), gid) != caller.groups.end();
  };
  unsigned mask = 7;
  for (size_t at = kAclHeader; at + kAclEntry <= acl.size(); at += kAclEntry) {
    const AclEntry entry = AclEntry::at(acl, at);
    if (entry.tag == AclTag::kMask) mask = entry.bits;
  }
  bool in_some = false;
  for (size_t at = kAclHeader; at + kAclEntry <= acl.size(); at += kAclEntry) {
    const AclEntry entry = AclEntry::at(acl, at);
    if (entry.tag == AclTag::kUser && entry.id == caller.uid) return gives(entry.bits & mask);
    const bool of_group = entry.tag == AclTag::kGroupObj || entry.tag == AclTag::kGroup;
    if (of_group && is_member(entry.tag == AclTag::kGroup ? entry.id : group)) {
      in_some = true;
      if (gives(entry.bits)) return gives(entry.bits & mask);
    }
    if (entry.tag == AclTag::kOther) return !in_some && gives(entry.bits);
  }
  return false;
}

}  // namespace viewsh
