// Any checksum of ext4's metadata is right here: a fuzzer changes bytes and would get no further
// than the first check of each structure. What libext2fs calls by name is found in the program
// first.
#include <ext2fs/ext2fs.h>

extern "C" {

int ext2fs_superblock_csum_verify(ext2_filsys, struct ext2_super_block*) { return 1; }
int ext2fs_group_desc_csum_verify(ext2_filsys, dgrp_t) { return 1; }
int ext2fs_inode_csum_verify(ext2_filsys, ext2_ino_t, struct ext2_inode_large*) { return 1; }
int ext2fs_inode_bitmap_csum_verify(ext2_filsys, dgrp_t, char*, int) { return 1; }
int ext2fs_block_bitmap_csum_verify(ext2_filsys, dgrp_t, char*, int) { return 1; }
int ext2fs_extent_block_csum_verify(ext2_filsys, ext2_ino_t, struct ext3_extent_header*) {
  return 1;
}
int ext2fs_dir_block_csum_verify(ext2_filsys, ext2_ino_t, struct ext2_dir_entry*) { return 1; }
int ext2fs_dirent_csum_verify(ext2_filsys, ext2_ino_t, struct ext2_dir_entry*) { return 1; }
int ext2fs_ext_attr_block_csum_verify(ext2_filsys, ext2_ino_t, blk64_t,
                                      struct ext2_ext_attr_header*) {
  return 1;
}
int ext2fs_orphan_file_block_csum_verify(ext2_filsys, ext2_ino_t, blk64_t, char*) { return 1; }
int ext2fs_mmp_csum_verify(ext2_filsys, struct mmp_struct*) { return 1; }
}
