#include "ext_time.h"

#include <algorithm>
#include <cstddef>

namespace viewsh {
namespace {

struct Fields {
  uint32_t* seconds;
  uint32_t* extra;
  size_t end;  ///< bytes of an inode that has `extra`
};

#define VIEWSH_EXT_FIELDS(name)                                                \
  {                                                                            \
    &inode->i_##name, &inode->i_##name##_extra,                                \
        offsetof(ExtInode, i_##name##_extra) + sizeof(inode->i_##name##_extra) \
  }

Fields fields_of(ExtInode* inode, ExtTime which) {
  switch (which) {
    case ExtTime::kAccess:
      return VIEWSH_EXT_FIELDS(atime);
    case ExtTime::kModify:
      return VIEWSH_EXT_FIELDS(mtime);
    case ExtTime::kChange:
      return VIEWSH_EXT_FIELDS(ctime);
    case ExtTime::kBirth:
      break;
  }
  return VIEWSH_EXT_FIELDS(crtime);
}

bool reaches(const ExtFs& fs, const ExtInode& inode, size_t end) {
  return fs.large_inodes() && EXT2_GOOD_OLD_INODE_SIZE + size_t{inode.i_extra_isize} >= end;
}

constexpr int64_t kFirst = -(int64_t{1} << 31);

}  // namespace

timespec ext_get_time(const ExtFs& fs, const ExtInode& inode, ExtTime which) {
  const Fields fields = fields_of(const_cast<ExtInode*>(&inode), which);
  timespec time = {static_cast<int32_t>(*fields.seconds), 0};
  if (reaches(fs, inode, fields.end)) {
    time.tv_sec += static_cast<time_t>(*fields.extra & 3) << 32;
    time.tv_nsec = std::min<long>(static_cast<long>(*fields.extra >> 2), 999999999);
  }
  return time;
}

void ext_set_time(const ExtFs& fs, ExtInode* inode, ExtTime which, timespec time) {
  const Fields fields = fields_of(inode, which);
  const bool wide = reaches(fs, *inode, fields.end);
  if (which == ExtTime::kBirth && !wide) return;
  const int64_t last = (int64_t{1} << 31) - 1 + (wide ? int64_t{3} << 32 : 0);
  if (time.tv_sec < kFirst) time = {kFirst, 0};
  if (time.tv_sec > last) time = {last, 0};
  *fields.seconds = static_cast<uint32_t>(time.tv_sec);
  if (!wide) return;
  const int64_t epoch = (time.tv_sec - static_cast<int32_t>(time.tv_sec)) >> 32;
  *fields.extra = static_cast<uint32_t>(epoch & 3) | static_cast<uint32_t>(time.tv_nsec) << 2;
}

bool ext_has_birth(const ExtFs& fs, const ExtInode& inode) {
  return reaches(fs, inode, offsetof(ExtInode, i_crtime_extra) + sizeof inode.i_crtime_extra);
}

timespec ext_now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now;
}

}  // namespace viewsh
