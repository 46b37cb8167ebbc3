#pragma once

#include <string>
#include <vector>

#include "syscalls/session.h"

namespace viewsh {

/// What the processes of a view have open, mapped and work in, as the kernel tells now. Of a
/// process that hides that from its own user (prctl(2), PR_SET_DUMPABLE) only the working directory
/// is known.
class MountUsers {
 public:
  explicit MountUsers(const Session& session);
  /// Is something of this mount in use? umount(2), EBUSY.
  bool busy(const Mount& mount) const;
  /// Is something of this mount open, or mapped, for writing?
  bool written(const Mount& mount) const;
  /// Is something of its file system in use, by whatever mount?
  bool alive(const Mount& mount) const;

 private:
  struct Used {
    std::string host;  ///< as /proc says it, maybe with " (deleted)"
    std::string link;  ///< in /proc/PID/fd; empty: a mapping
    bool writing = false;
  };
  void read_descriptors(pid_t tid);
  void read_mappings(pid_t pid);
  bool is_in(const Used& used, const Mount& mount) const;
  static bool is_of(const Used& used, FileSystem& fs);
  bool works_in(const FsContext& fs, const Mount& mount) const;

  const Session& session_;
  std::vector<Used> used_;
};

}  // namespace viewsh
