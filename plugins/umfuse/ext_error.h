#pragma once

#include <ext2fs/ext2fs.h>

#include "viewsh/result.h"

namespace viewsh {

/// The errno of a libext2fs error: errno values stay, a full image is ENOSPC, what can't be read is
/// EIO, and a structure that can't be is EUCLEAN.
Errno ext_errno(errcode_t code);
/// The other way round, for functions that libext2fs calls.
errcode_t ext_code(Errno error);

#define TRY_EXT(expr)                                                              \
  do {                                                                             \
    if (const errcode_t ext_code_ = (expr)) return ::viewsh::ext_errno(ext_code_); \
  } while (false)

}  // namespace viewsh
