#pragma once

#include <time.h>

#include "ext_fs.h"

namespace viewsh {

/// The times of an inode: seconds from 1901 to 2446 and nanoseconds where the inode has room for
/// them, to 2038 and none where not; what is out of range becomes the nearest that is in it. Birth
/// is there only in large inodes. fs/ext4/ext4.h, EXT4_INODE_SET_XTIME.
enum class ExtTime { kAccess, kModify, kChange, kBirth };
timespec ext_get_time(const ExtFs& fs, const ExtInode& inode, ExtTime which);
void ext_set_time(const ExtFs& fs, ExtInode* inode, ExtTime which, timespec time);
bool ext_has_birth(const ExtFs& fs, const ExtInode& inode);
timespec ext_now();

}  // namespace viewsh
