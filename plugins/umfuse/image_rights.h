#pragma once

#include <sys/types.h>

#include <algorithm>

#include "viewsh/filesystem.h"

namespace viewsh {

/// May a caller do what only owners may? inode_owner_or_capable() of fs/inode.c.
inline bool is_owner(const Attr& attr, const Caller& caller) {
  return caller.uid == 0 || caller.uid == attr.stx_uid;
}

/// in_group_p() of kernel/groups.c.
inline bool in_group(gid_t gid, const Caller& caller) {
  return caller.gid == gid ||
         std::find(caller.groups.begin(), caller.groups.end(), gid) != caller.groups.end();
}

}  // namespace viewsh
