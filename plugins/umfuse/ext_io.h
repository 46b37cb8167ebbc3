#pragma once

#include <ext2fs/ext2fs.h>

#include "ext_cache.h"

namespace viewsh {

/// libext2fs's way to the cache. The manager opens one channel only: that of the cache named last
/// by this thread in ext_io_next(), which outlives the channel. The name given to it is ignored.
/// lib/ext2fs/ext2_io.h.
io_manager ext_io_manager();
void ext_io_next(ExtCache* cache);

}  // namespace viewsh
