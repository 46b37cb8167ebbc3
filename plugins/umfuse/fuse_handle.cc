#include "fuse_handle.h"

#include <fcntl.h>

#include "fuse_bytes.h"

namespace viewsh {

FuseHandle::~FuseHandle() {
  if (!real_) return;
  fuse_release_in in = {};
  in.fh = out_.fh;
  in.flags = flags_;
  session_.tell(directory_ ? FUSE_RELEASEDIR : FUSE_RELEASE, node_, {fuse_bytes(in)}, true);
}

bool FuseHandle::can_read() const { return (flags_ & O_ACCMODE) != O_WRONLY; }
bool FuseHandle::can_write() const { return (flags_ & O_ACCMODE) != O_RDONLY; }

Result<void> FuseHandle::flush() {
  if (session_.lacks(FUSE_FLUSH) || (out_.open_flags & FOPEN_NOFLUSH) != 0) return {};
  fuse_flush_in in = {};
  in.fh = out_.fh;
  return session_.optional<void>(FUSE_FLUSH,
                                 session_.ask_nothing(FUSE_FLUSH, node_, {fuse_bytes(in)}), {});
}

}  // namespace viewsh
