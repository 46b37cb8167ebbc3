#include "ext_attributes.h"

#include <algorithm>

#include "ext_acl.h"
#include "ext_error.h"

namespace viewsh {
namespace {

bool is_acl(const std::string& name) { return name == kAccessAcl || name == kDefaultAcl; }

}  // namespace

ExtAttributes::~ExtAttributes() {
  if (handle_ != nullptr) ext2fs_xattrs_close(&handle_);
}

Result<void> ExtAttributes::open(ExtFs* fs, uint64_t ino, bool add) {
  ext2_super_block& super = fs->super();
  if (!ext2fs_has_feature_xattr(&super) && !ext2fs_has_feature_inline_data(&super)) {
    if (!add) return {};
    if (super.s_rev_level == EXT2_GOOD_OLD_REV) return Errno(EOPNOTSUPP);
    ext2fs_set_feature_xattr(&super);
    fs->super_changed();
  }
  TRY_EXT(ext2fs_xattrs_open(fs->lib(), static_cast<ext2_ino_t>(ino), &handle_));
  // Its own way with ACLs gives ids where there are none.
  unsigned raw = XATTR_HANDLE_FLAG_RAW;
  TRY_EXT(ext2fs_xattrs_flags(handle_, &raw, nullptr));
  TRY_EXT(ext2fs_xattrs_read(handle_));
  return {};
}

Result<std::vector<std::string>> ExtAttributes::names() {
  std::vector<std::string> names;
  if (handle_ == nullptr) return names;
  TRY_EXT(ext2fs_xattrs_iterate(
      handle_,
      [](char* name, char*, size_t, void* data) {
        static_cast<std::vector<std::string>*>(data)->emplace_back(name);
        return 0;
      },
      &names));
  return names;
}

Result<std::string> ExtAttributes::get(const std::string& name) {
  if (handle_ == nullptr) return Errno(ENODATA);
  void* value = nullptr;
  size_t size = 0;
  TRY_EXT(ext2fs_xattr_get(handle_, name.c_str(), &value, &size));
  std::string result(static_cast<const char*>(value), size);
  ext2fs_free_mem(&value);
  return is_acl(name) ? acl_from_disk(result) : Result<std::string>(result);
}

Result<void> ExtAttributes::set(const std::string& name, std::string_view value) {
  std::string disk(value);
  if (is_acl(name)) {
    TRY_ASSIGN(disk, acl_to_disk(value));
  }
  TRY_EXT(ext2fs_xattr_set(handle_, name.c_str(), disk.data(), disk.size()));
  return {};
}

Result<void> ExtAttributes::remove(const std::string& name) {
  TRY_ASSIGN(const auto all, names());  // none without a handle
  if (std::find(all.begin(), all.end(), name) == all.end()) return Errno(ENODATA);
  TRY_EXT(ext2fs_xattr_remove(handle_, name.c_str()));
  return {};
}

}  // namespace viewsh
