#include "fixed_identity.h"

#include <algorithm>
#include <utility>

namespace viewsh {

FixedIdentity::FixedIdentity(User user, const IdentityRequest& request) : user_(std::move(user)) {
  const uid_t uid = request.uid.value_or(user_.uid);
  const gid_t gid = request.gid.value_or(user_.gid);
  shown_.ruid = shown_.euid = shown_.suid = shown_.fsuid = uid;
  shown_.rgid = shown_.egid = shown_.sgid = shown_.fsgid = gid;
  if (request.groups) {
    shown_.groups = *request.groups;
  } else if (request.gid) {
    shown_.groups = {gid};
  } else {
    shown_.groups = user_.groups;
  }
  // As the kernel keeps them. groups_sort() of kernel/groups.c
  std::sort(shown_.groups.begin(), shown_.groups.end());
}

Result<void> FixedIdentity::change(const Credentials& wanted) {
  return wanted == shown_ ? Result<void>() : Errno(EPERM);
}

}  // namespace viewsh
