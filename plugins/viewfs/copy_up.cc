#include "copy_up.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace viewsh::viewfs {

std::string link_name(const LowerState& state) {
  return std::to_string(state.dev) + "-" + std::to_string(state.ino);
}

void keep_attr(const Attr& attr, const CopiedAttr& copied, Meta* meta) {
  if (copied.owner && copied.mode) return;
  meta->mode = attr.stx_mode & 07777;
  meta->uid = attr.stx_uid;
  meta->gid = attr.stx_gid;
}

KeepTimes::KeepTimes(int upper_fd, std::string_view dir)
    : dir_(upper_fd, std::string(dir.empty() ? "." : dir)) {
  struct stat st {};
  known_ = fstatat(dir_.dir(), dir_.name(), &st, AT_SYMLINK_NOFOLLOW) == 0;
  times_[0] = st.st_atim;
  times_[1] = st.st_mtim;
}

KeepTimes::~KeepTimes() {
  if (known_) utimensat(dir_.dir(), dir_.name(), times_, AT_SYMLINK_NOFOLLOW);
}

Result<Meta> make_container_in(int dir_fd, const std::string& temp, const Attr& from,
                               const Xattrs& xattrs) {
  TRY(from_libc(mkdirat(dir_fd, temp.c_str(), 0700)));
  const Result<void> done = set_xattrs(LongPath(dir_fd, temp), xattrs);
  if (!done) {
    unlinkat(dir_fd, temp.c_str(), AT_REMOVEDIR);
    return done.error();
  }
  const CopiedAttr copied = copy_attr(dir_fd, temp, from, S_IRWXU);
  Meta meta;
  meta.kind = Meta::Kind::kMerged;
  meta.type = NodeType::kDirectory;
  meta.origin = lower_state(from);
  keep_attr(from, copied, &meta);
  return meta;
}

}  // namespace viewsh::viewfs
