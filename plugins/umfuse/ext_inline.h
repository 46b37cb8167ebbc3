#pragma once

#include <vector>

#include "ext_map.h"

namespace viewsh {

/// Files and directories that are so small that they live in their inode: 60 bytes, and the rest in
/// an attribute "system.data". Feature inline_data; fs/ext4/inline.c.
inline bool is_inline(const ExtInode& inode) { return (inode.i_flags & EXT4_INLINE_DATA_FL) != 0; }
/// All the bytes there, whatever the file's size: 60 at least.
Result<std::vector<char>> ext_load_inline(ExtFs* fs, uint64_t ino);
/// As many bytes as there are.
Result<void> ext_save_inline(ExtFs* fs, uint64_t ino, std::vector<char>* data);
/// The inode gets a block of its own that holds `content`, one block of bytes, in place of what was
/// inside, and is stored. Directories' blocks are metadata, others go to the device. ENOSPC:
/// nothing happened.
Result<void> ext_move_out(ExtFs* fs, ExtMap* map, uint64_t ino, std::vector<char>* content);

}  // namespace viewsh
