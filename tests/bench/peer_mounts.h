#pragma once

#include <sys/types.h>

#include <string>

#include "process.h"

namespace bench {

/// Mounts images by FUSE programs on the kernel's own FUSE. A process of its own does it, which
/// keeps root where the bench gives it up; without root fusermount may do it.
class PeerMounts {
 public:
  PeerMounts();  ///< before root is given up
  ~PeerMounts();
  PeerMounts(const PeerMounts&) = delete;
  PeerMounts& operator=(const PeerMounts&) = delete;

  /// `server` stays in the foreground and shows something at `at`. Empty: it does; else why not.
  std::string mount(const Argv& server, const std::string& at);
  /// Ends it, and waits until the server has written everything.
  std::string umount(const std::string& at);
  bool root() const { return root_; }  ///< it is root that mounts

 private:
  std::string ask(const std::string& line);

  pid_t pid_ = -1;
  int fd_ = -1;
  bool root_;
};

}  // namespace bench
