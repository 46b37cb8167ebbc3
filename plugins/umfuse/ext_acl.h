#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "viewsh/posix_acl.h"
#include "viewsh/result.h"

namespace viewsh {

/// The permissions that the ACL stands for go into *mode. True: it says more than a mode can.
/// EINVAL: it's none; nothing is changed where it has no entries.
Result<bool> acl_to_mode(std::string_view acl, mode_t* mode);
/// The ACL after chmod(2): the mask, or without one the group, is the mode's middle digit. EINVAL.
Result<std::string> acl_with_mode(std::string_view acl, mode_t mode);
/// The default ACL of a directory as the ACL of what is made there, and *mode, which the program
/// gave, by what both allow. True: it says more than a mode can. EINVAL. posix_acl_create_masq() of
/// fs/posix_acl.c.
Result<bool> acl_of_new(std::string* acl, mode_t* mode);
/// The ACL as it is on disk, and back: there only entries of users and groups with a name have an
/// id, here the others' is 0xffffffff. EINVAL; back: EUCLEAN. fs/ext4/acl.c.
Result<std::string> acl_to_disk(std::string_view acl);
Result<std::string> acl_from_disk(std::string_view acl);

}  // namespace viewsh
