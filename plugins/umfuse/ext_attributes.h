#pragma once

#include <ext2fs/ext2fs.h>

#include <string>
#include <vector>

#include "ext_fs.h"

namespace viewsh {

/// The extended attributes of one inode as libext2fs reads them. Changes are on disk (in the cache)
/// when the function returns; the inode's copies elsewhere are old then. POSIX ACLs have the format
/// of getxattr(2) here, another one on disk.
class ExtAttributes {
 public:
  ExtAttributes() = default;
  ~ExtAttributes();
  ExtAttributes(const ExtAttributes&) = delete;
  ExtAttributes& operator=(const ExtAttributes&) = delete;

  /// EUCLEAN. Where the image never had attributes there are none; `add`: it will have. EOPNOTSUPP:
  /// it is too old for that.
  Result<void> open(ExtFs* fs, uint64_t ino, bool add = false);
  Result<std::vector<std::string>> names();
  /// ENODATA.
  Result<std::string> get(const std::string& name);
  /// ENOSPC: they have one block, and what is left in the inode.
  Result<void> set(const std::string& name, std::string_view value);
  /// ENODATA.
  Result<void> remove(const std::string& name);

 private:
  ext2_xattr_handle* handle_ = nullptr;
};

}  // namespace viewsh
