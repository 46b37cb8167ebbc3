#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/filesystem.h"
#include "viewsh/long_path.h"
#include "viewsh/result.h"

/// Operations on host paths that the simple file systems of viewfs (bind, merge, tmpfs) share.
/// Paths may be of any length. None of them follows a symbolic link as the last component. Errors
/// are the kernel's.
namespace viewsh::host_ops {

/// Gives the engine's process the umask of a caller for the length of one operation, so that the
/// kernel applies it (and default ACLs instead of it) as in the caller's own call. umask(2),
/// acl(5).
class ScopedUmask {
 public:
  explicit ScopedUmask(mode_t mask) : old_(::umask(mask)) {}
  ~ScopedUmask() { ::umask(old_); }
  ScopedUmask(const ScopedUmask&) = delete;
  ScopedUmask& operator=(const ScopedUmask&) = delete;

 private:
  mode_t old_;
};

/// openat2(2) of a path below a directory, of any length: never out of it, never over a link. ""
/// is the directory itself. Nothing: errno says why (ELOOP: a link).
UniqueFd open_beneath(int dir, std::string_view path, int flags);

/// "a" and "b" to "a/b"; an empty part adds nothing.
std::string join(std::string_view a, std::string_view b);
/// "a/b" to "a", "a" to "".
std::string parent_of(std::string_view path);

/// The permission bits' answer for `want` (R_OK, W_OK, X_OK). path_resolution(7).
bool bits_allow(uint32_t mode, uint32_t uid, uint32_t gid, int want, const Caller& caller);

/// The file-system credentials of the engine itself, for looking at trees on its own account.
Caller own_caller();

/// statx(2) with all basic fields and the birth time.
Result<Attr> get_attr(const std::string& host);
inline NodeType type_of(const Attr& attr) { return type_of_mode(attr.stx_mode); }

/// All entries but "." and "..".
Result<std::vector<DirEntry>> list_dir(const std::string& host);

Result<void> make_dir(const std::string& host, mode_t mode, mode_t umask);
Result<void> make_node(const std::string& host, mode_t mode, dev_t dev, mode_t umask);
Result<void> make_symlink(const std::string& host, const std::string& target);
Result<void> make_link(const std::string& from, const std::string& to);
/// `fd_path` is a /proc/PID/fd/N path of a file without a name. O_TMPFILE.
Result<void> link_open_file(const std::string& fd_path, const std::string& to);
Result<void> rename(const std::string& from, const std::string& to, unsigned flags);
Result<std::string> read_link(const std::string& host);

/// Applies what is set in `set`: size, owner, mode, times, in this order.
Result<void> set_attr(const std::string& host, const SetAttr& set);
Result<void> set_xattr(const std::string& host, const std::string& name, std::string_view value,
                       int flags);
Result<void> remove_xattr(const std::string& host, const std::string& name);

/// Copies the whole content from the start of `from` to the empty file `to`: shares the extents
/// where the file system can (FICLONE), else copies the data and keeps the holes.
Result<void> copy_content(int from, int to);
/// Extended attributes and ACLs by name. What the target cannot hold (EOPNOTSUPP, EPERM) is left
/// out; other errors are returned.
Result<void> copy_xattrs(const std::string& from, const std::string& to);

/// What a directory tree takes up, files with several names counted once.
struct Usage {
  uint64_t bytes = 0;  ///< allocated, without the directories themselves
  uint64_t inodes = 0;
};
Usage measure_tree(const std::string& host);

/// Removes a name with everything below it, whatever the modes of its directories are and however
/// deep it is; `path` is relative to the directory `dir`. One that is absent is removed. The errors
/// of single files do not stop it; the first of them is returned.
Result<void> remove_tree(int dir, const std::string& path);
Result<void> remove_tree(const std::string& host);
/// The same with what is in a directory.
Result<void> remove_content(int dir);

}  // namespace viewsh::host_ops
