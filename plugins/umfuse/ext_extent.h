#pragma once

#include <ext2fs/ext2fs.h>

#include "ext_error.h"

namespace viewsh {

/// Owns libext2fs's handle of an extent tree.
class ExtExtents {
 public:
  ExtExtents() = default;
  ~ExtExtents() {
    if (handle_ != nullptr) ext2fs_extent_free(handle_);
  }
  ExtExtents(const ExtExtents&) = delete;
  ExtExtents& operator=(const ExtExtents&) = delete;
  /// `inode` outlives this, and is changed with the root of the tree. EUCLEAN.
  Result<void> open(ext2_filsys fs, uint64_t ino, ext2_inode* inode) {
    TRY_EXT(ext2fs_extent_open2(fs, static_cast<ext2_ino_t>(ino), inode, &handle_));
    return {};
  }
  ext2_extent_handle_t get() const { return handle_; }

 private:
  ext2_extent_handle_t handle_ = nullptr;
};

}  // namespace viewsh
