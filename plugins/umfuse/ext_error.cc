#include "ext_error.h"

namespace viewsh {

Errno ext_errno(errcode_t code) {
  // com_err's tables start above every errno.
  if (code > 0 && code < 256) return Errno(static_cast<int>(code));
  switch (code) {
    case EXT2_ET_BLOCK_ALLOC_FAIL:
    case EXT2_ET_INODE_ALLOC_FAIL:
    case EXT2_ET_EA_NO_SPACE:
    case EXT2_ET_DIR_NO_SPACE:
    case EXT2_ET_CANT_INSERT_EXTENT:
    case EXT2_ET_INLINE_DATA_NO_SPACE:
      return Errno(ENOSPC);
    case EXT2_ET_NO_MEMORY:
      return Errno(ENOMEM);
    case EXT2_ET_SHORT_READ:
    case EXT2_ET_SHORT_WRITE:
      return Errno(EIO);
    case EXT2_ET_EA_KEY_NOT_FOUND:
      return Errno(ENODATA);
    case EXT2_ET_FILE_TOO_BIG:
      return Errno(EFBIG);
    case EXT2_ET_RO_FILSYS:
      return Errno(EROFS);
    default:
      return Errno(EUCLEAN);
  }
}

errcode_t ext_code(Errno error) {
  return error == ENOSPC ? EXT2_ET_BLOCK_ALLOC_FAIL : static_cast<errcode_t>(error.value());
}

}  // namespace viewsh
