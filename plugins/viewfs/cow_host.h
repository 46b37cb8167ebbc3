#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <unordered_map>

#include "viewsh/filesystem.h"
#include "viewsh/long_path.h"
#include "viewsh/result.h"

namespace viewsh::viewfs {

/// The process of the engine has the caller's rights, so the host can be asked.
bool is_self(const Caller& caller);
/// May this process do that? access(2): EACCES, EPERM, EROFS.
Result<void> ask_host(const std::string& host, int want);
/// There is nothing by a path, or no directory on the way to it.
inline bool is_absence(Errno error) { return error == ENOENT || error == ENOTDIR; }
/// What a mincow answers with a copy.
inline bool is_refusal(Errno error) { return error == EACCES || error == EPERM || error == EROFS; }

/// What follows takes paths of any length, relative to a directory descriptor or to AT_FDCWD.
/// lstat of a name below a directory descriptor; "" is the directory itself. statx(2).
Result<Attr> lstat_at(int dir_fd, const std::string& path);
/// Text of a symbolic link of any length. readlink(2).
Result<std::string> read_link(int dir_fd, const std::string& path);

/// The d_ino of every name in a directory; what can't be read is empty. readdir(3).
std::unordered_map<std::string, uint64_t> inode_numbers(int dir_fd, const std::string& path);

/// Copies the whole content of one open file to another, empty one: by sharing blocks where the
/// file system can, else by copying what is not a hole. ENOSPC, EIO.
Result<void> copy_data(int from, int to, const Attr& attr);
/// What looking for something that was known to be there says when it went or was moved: ENOENT,
/// ENOTDIR, ELOOP (a link is in the way), ESTALE (another one is there). Any other error says
/// nothing of it.
bool says_gone(Errno why);

using Xattrs = std::map<std::string, std::string>;
/// Is it an extended attribute that a user can keep: user.*, or a POSIX ACL?
bool is_kept_xattr(std::string_view name);
/// Extended attributes that a user can keep: user.*, and the POSIX ACLs as far as it goes. A file
/// system without them has none; those that the mode of the file keeps secret are left out. EIO,
/// ENOMEM...: not known, which isn't the same as none.
Result<Xattrs> read_xattrs(const LongPath& path);
/// Both are known, and equal.
bool same_xattrs(const Result<Xattrs>& a, const Result<Xattrs>& b);
/// Its access ACL as getxattr(2) gives it; empty: there is none, or it can't be read.
std::string access_acl(const LongPath& path);
/// A name in an open directory has no extended attributes at all; false: it may have some, or Linux
/// has no listxattrat(2).
bool has_no_xattrs_at(int dir_fd, const std::string& name);
/// The same as read_xattrs() of a name in an open directory, without a way through procfs where
/// Linux has listxattrat(2) and there are none.
Result<Xattrs> read_xattrs_at(int dir_fd, const std::string& name);
/// Of a file that is the layer's own: also where its mode keeps its owner from reading them, for
/// which the mode is changed for a moment.
Result<Xattrs> read_own_xattrs_at(int dir_fd, const std::string& name);
/// Gives a file these. EOPNOTSUPP, ENOSPC: it can't keep them all.
Result<void> set_xattrs(const LongPath& to, const Xattrs& xattrs);
/// Those of another. EOPNOTSUPP, ENOSPC: where `to` can't keep them all, there is to be no copy.
Result<void> copy_xattrs(const LongPath& from, const LongPath& to);

/// What the copy of a node keeps of its attributes, and whether it took.
struct CopiedAttr {
  bool owner = true;
  bool mode = true;
};
/// Sets group, mode (`extra` bits added) and times of a new node like those of `from`; `path` is
/// not followed.
CopiedAttr copy_attr(int dir_fd, const std::string& path, const Attr& from, mode_t extra);
/// Sets both times.
Result<void> set_times(int dir_fd, const std::string& path, const Attr& from);

/// A copy of `host` (regular file or link) as the new name `temp`, with data, attributes, `xattrs`.
/// `flush`: the data are on disk then. The rename that follows would be there without them at a
/// power cut, and what the program never touched be gone.
Result<CopiedAttr> copy_node(const std::string& host, const Attr& attr, int dir_fd,
                             const std::string& temp, bool with_data, bool flush,
                             const Xattrs& xattrs);

}  // namespace viewsh::viewfs
