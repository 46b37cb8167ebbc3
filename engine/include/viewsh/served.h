#pragma once

#include "viewsh/filesystem.h"

namespace viewsh {

/// What a FileSystem is as well whose answers come from a process, which may be slow, hang or be
/// gone. Nothing here waits for it.
class Served {
 public:
  virtual ~Served() = default;
  /// MNT_FORCE of umount2(2): whoever waits for an answer gets ECONNABORTED, every later call
  /// ENOTCONN. fuse_abort_conn() of fs/fuse/dev.c
  virtual void abort() = 0;
  /// Some task's call waits for an answer.
  virtual bool busy() const = 0;
  /// Its root as far as it is known without asking: the device and the type.
  virtual Attr root() const = 0;
  /// Something is open that may be written to, and what is so isn't with the process at once.
  virtual bool unwritten() const = 0;
  /// Brings it there, as far as it was written since and costs little. This alone may wait: it is a
  /// piece of work of its own.
  virtual void write_back() = 0;
};

}  // namespace viewsh
