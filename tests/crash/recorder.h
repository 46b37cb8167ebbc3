#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "disk.h"

namespace viewsh::crash {

/// Stands between this program and the C library's calls that change files (calls.cc): records what
/// is done below a directory, or lets a call fail. Inodes below it have numbers and times of change
/// that stay the same when the tree is made anew, so that what was written down about them holds.
namespace recorder {

/// From here on calls below `root` are recorded; the disk as it is now, all of it synced.
Disk start(const std::string& root);
/// Stops and hands over what was recorded. The inodes keep the numbers that they were given.
std::vector<Op> stop();
/// How many operations there are so far.
size_t position();
/// `root` was made anew: these are its inodes.
void adopt(const std::vector<Disk::Made>& made);
/// No inode has another number than the kernel's any more.
void forget();

/// The `nth` call (from 1) below `root` that takes space on the disk, and all after it, fails with
/// ENOSPC, until nth is 0. The calls of `open(2)` and what is written through them are the
/// program's own and don't count.
void fail_from(const std::string& root, uint64_t nth);
/// Below `root` nothing gets a second name (EPERM) and no extended attribute is kept (EOPNOTSUPP),
/// as on file systems that have neither; "": no more.
void be_plain(const std::string& root);
/// Nothing goes from one to the other by rename(2) or link(2): EXDEV, as between two mounts of one
/// file system; "": no more.
void be_apart(const std::string& one, const std::string& other);
/// So many calls were refused for that.
uint64_t kept_apart();
/// So many of them failed.
uint64_t failed();

}  // namespace recorder
}  // namespace viewsh::crash
