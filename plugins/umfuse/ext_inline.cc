#include "ext_inline.h"

#include <sys/stat.h>

#include <cstring>

#include "ext_attributes.h"
#include "ext_error.h"

namespace viewsh {
Result<std::vector<char>> ext_load_inline(ExtFs* fs, uint64_t ino) {
  size_t size = 0;
  TRY_EXT(ext2fs_inline_data_size(fs->lib(), static_cast<ext2_ino_t>(ino), &size));
  if (size < EXT4_MIN_INLINE_DATA_SIZE || size > 2 * fs->block_size()) return Errno(EUCLEAN);
  std::vector<char> data(size);
  TRY_EXT(
      ext2fs_inline_data_get(fs->lib(), static_cast<ext2_ino_t>(ino), nullptr, data.data(), &size));
  if (size != data.size()) return Errno(EUCLEAN);
  return data;
}

Result<void> ext_save_inline(ExtFs* fs, uint64_t ino, std::vector<char>* data) {
  TRY_EXT(ext2fs_inline_data_set(fs->lib(), static_cast<ext2_ino_t>(ino), nullptr, data->data(),
                                 data->size()));
  return {};
}

Result<void> ext_move_out(ExtFs* fs, ExtMap* map, uint64_t ino, std::vector<char>* content) {
  const auto group = ext2fs_group_of_ino(fs->lib(), static_cast<ext2_ino_t>(ino));
  TRY_ASSIGN(const ExtAlloc::Run run,
             fs->alloc().take(ext2fs_group_first_block2(fs->lib(), group), 1));
  {
    ExtAttributes attributes;
    TRY(attributes.open(fs, ino));
    const auto removed = attributes.remove("system.data");
    if (!removed && removed.error() != ENODATA) return removed;
  }
  TRY_ASSIGN(ExtInode inode, fs->load(ino));
  std::memset(inode.i_block, 0, sizeof inode.i_block);
  inode.i_flags &= ~static_cast<uint32_t>(EXT4_INLINE_DATA_FL);
  TRY(map->start(&inode, run.start));
  TRY_EXT(ext2fs_iblk_add_blocks(fs->lib(), basic(&inode), 1));
  map->forget(ino);
  if (!S_ISDIR(inode.i_mode)) {
    TRY(fs->device().write(content->data(), content->size(), run.start * fs->block_size()));
    return fs->store(ino, inode);
  }
  TRY_EXT(
      ext2fs_inode_size_set(fs->lib(), basic(&inode), static_cast<ext2_off64_t>(content->size())));
  TRY(fs->store(ino, inode));
  TRY_EXT(ext2fs_write_dir_block4(fs->lib(), run.start, content->data(), 0,
                                  static_cast<ext2_ino_t>(ino)));
  return {};
}

}  // namespace viewsh
