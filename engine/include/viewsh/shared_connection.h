#pragma once

#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// What a FileSystem is as well whose server may be asked by another view, too: the one that the
/// server itself lives in, and that is to show what it mounts there.
class SharedConnection {
 public:
  virtual ~SharedConnection() = default;
  /// `other` is one end of a pair of packets (SOCK_SEQPACKET); at the other one a second kernel's
  /// side is told what the server says to its requests. Nothing here waits.
  virtual Result<void> share(UniqueFd other) = 0;
};

}  // namespace viewsh
