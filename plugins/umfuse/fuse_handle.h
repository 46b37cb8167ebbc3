#pragma once

#include <linux/fuse.h>

#include <cstdint>

#include "fuse_session.h"

namespace viewsh {

/// A file or directory that the server has open for us. It is told FUSE_RELEASE or
/// FUSE_RELEASEDIR at the end, and as in the kernel nobody waits for what it says to that.
class FuseHandle {
 public:
  /// `real`: false where the server knows no open, and is not told the end either.
  FuseHandle(FuseSession& session, uint64_t node, const fuse_open_out& out, uint32_t flags,
             bool directory, bool real)
      : session_(session),
        node_(node),
        out_(out),
        flags_(flags),
        directory_(directory),
        real_(real) {}
  ~FuseHandle();
  FuseHandle(const FuseHandle&) = delete;
  FuseHandle& operator=(const FuseHandle&) = delete;

  uint64_t fh() const { return out_.fh; }
  uint64_t node() const { return node_; }
  /// Of open(2), as the server got them.
  uint32_t flags() const { return flags_; }
  bool can_read() const;
  bool can_write() const;
  /// The length that attributes say is not to be believed.
  bool direct_io() const { return (out_.open_flags & FOPEN_DIRECT_IO) != 0; }
  /// What was read before counts still.
  bool keeps_cache() const { return (out_.open_flags & FOPEN_KEEP_CACHE) != 0 && !direct_io(); }
  /// FUSE_FLUSH, the end of a use: close(2) reports this error.
  Result<void> flush();

 private:
  FuseSession& session_;
  uint64_t node_;
  fuse_open_out out_;
  uint32_t flags_;
  bool directory_;
  bool real_;
};

}  // namespace viewsh
