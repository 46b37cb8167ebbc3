#include "ext_super.h"

#include <array>

namespace viewsh {
namespace {

struct Feature {
  uint32_t bit;
  const char* name;
};

/// What this code and libext2fs read and write.
constexpr uint32_t kIncompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_RECOVER |
                               EXT2_FEATURE_INCOMPAT_META_BG | EXT3_FEATURE_INCOMPAT_EXTENTS |
                               EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG |
                               EXT4_FEATURE_INCOMPAT_CSUM_SEED | EXT4_FEATURE_INCOMPAT_LARGEDIR |
                               EXT4_FEATURE_INCOMPAT_INLINE_DATA;
constexpr uint32_t kRoCompat =
    EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
    EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |
    EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
    EXT4_FEATURE_RO_COMPAT_METADATA_CSUM | EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT;

/// What can be read without harm: values of attributes in inodes, a protection against several
/// writers, names whose case doesn't matter when they are looked up, files that are encrypted.
constexpr std::array kReadable = {
    Feature{EXT4_FEATURE_INCOMPAT_MMP, "mmp"},
    Feature{EXT4_FEATURE_INCOMPAT_EA_INODE, "ea_inode"},
    Feature{EXT4_FEATURE_INCOMPAT_ENCRYPT, "encrypt"},
    Feature{EXT4_FEATURE_INCOMPAT_CASEFOLD, "casefold"},
};
constexpr std::array kReadableRo = {
    Feature{EXT4_FEATURE_RO_COMPAT_BIGALLOC, "bigalloc"},
    Feature{EXT4_FEATURE_RO_COMPAT_QUOTA, "quota"},
    Feature{EXT4_FEATURE_RO_COMPAT_PROJECT, "project"},
    Feature{EXT4_FEATURE_RO_COMPAT_READONLY, "read-only"},
    Feature{EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS, "shared_blocks"},
    Feature{EXT4_FEATURE_RO_COMPAT_VERITY, "verity"},
    Feature{EXT4_FEATURE_RO_COMPAT_HAS_SNAPSHOT, "snapshot"},
    Feature{EXT4_FEATURE_RO_COMPAT_REPLICA, "replica"},
};

template <size_t kCount>
void name_features(const std::array<Feature, kCount>& all, uint32_t set, std::string* names) {
  for (const Feature& feature : all) {
    if ((set & feature.bit) == 0) continue;
    if (!names->empty()) *names += ", ";
    *names += feature.name;
  }
}

template <size_t kCount>
uint32_t bits_of(const std::array<Feature, kCount>& all) {
  uint32_t bits = 0;
  for (const Feature& feature : all) bits |= feature.bit;
  return bits;
}

uint64_t blocks_of(const ext2_super_block& super) {
  uint64_t blocks = super.s_blocks_count;
  if (super.s_feature_incompat & EXT4_FEATURE_INCOMPAT_64BIT) {
    blocks |= static_cast<uint64_t>(super.s_blocks_count_hi) << 32;
  }
  return blocks;
}

/// The part of the geometry that bounds memory; ext2fs_open2() looks at the rest.
const char* bad_geometry(const ext2_super_block& super, uint64_t device) {
  if (super.s_log_block_size > 6) return "its block size is none";
  const uint64_t size = uint64_t{1024} << super.s_log_block_size;
  const uint64_t blocks = blocks_of(super);
  if (blocks == 0 || blocks > device / size) return "it is larger than the file that holds it";
  if (super.s_first_data_block > 1) return "its first block is none";
  const bool clusters = (super.s_feature_ro_compat & EXT4_FEATURE_RO_COMPAT_BIGALLOC) != 0;
  const uint64_t bits = clusters ? super.s_clusters_per_group : super.s_blocks_per_group;
  if (bits == 0 || bits > size * 8 || super.s_blocks_per_group % 8 != 0) {
    return "its groups have no size that can be";
  }
  if (super.s_reserved_gdt_blocks > size / 4) return "it reserves too much for descriptors";
  if (super.s_inodes_per_group == 0 || super.s_inodes_per_group > size * 8 ||
      super.s_inodes_per_group % 8 != 0) {
    return "its groups have no number of inodes that can be";
  }
  return nullptr;
}

}  // namespace

uint64_t ext_bytes(const ext2_super_block& super) {
  return blocks_of(super) * (uint64_t{1024} << super.s_log_block_size);
}

Result<ext2_super_block> ext_read_super(ExtDevice* device, std::string* why) {
  ext2_super_block super;
  static_assert(sizeof super == SUPERBLOCK_SIZE);
  if (device->size() < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE) {
    *why = "not an ext2, ext3 or ext4 image";
    return Errno(EINVAL);
  }
  if (auto read = device->read(&super, sizeof super, SUPERBLOCK_OFFSET); !read) {
    *why = "can't be read: " + read.error().message();
    return read.error();
  }
  if (super.s_magic != EXT2_SUPER_MAGIC) {
    *why = "not an ext2, ext3 or ext4 image";
    return Errno(EINVAL);
  }
  if (const char* bad = bad_geometry(super, device->size())) {
    *why = std::string("the file system can't be read: ") + bad;
    return Errno(EINVAL);
  }
  return super;
}

std::string ext_refusal(const ext2_super_block& super) {
  if (super.s_feature_incompat & EXT3_FEATURE_INCOMPAT_JOURNAL_DEV) {
    return "this is the journal of another file system";
  }
  if ((super.s_feature_incompat & ~(kIncompat | bits_of(kReadable))) != 0) {
    return "it has features that are not known here";
  }
  return "";
}

std::string ext_read_only_reason(const ext2_super_block& super) {
  std::string names;
  name_features(kReadable, super.s_feature_incompat, &names);
  name_features(kReadableRo, super.s_feature_ro_compat, &names);
  if (!names.empty()) return "it has features that can only be read (" + names + ")";
  if ((super.s_feature_ro_compat & ~kRoCompat) != 0) {
    return "it has features that are not known here";
  }
  if ((super.s_feature_compat & EXT3_FEATURE_COMPAT_HAS_JOURNAL) && super.s_journal_inum == 0) {
    return "its journal is on another device";
  }
  return "";
}

std::string ext_warning(const ext2_super_block& super) {
  if (super.s_state & EXT2_ERROR_FS) return "it is marked as having errors; run e2fsck";
  if ((super.s_state & EXT2_VALID_FS) == 0) return "it was not cleanly unmounted; run e2fsck";
  return "";
}

}  // namespace viewsh
