#pragma once

#include <string>
#include <vector>

#include "syscalls/session.h"
#include "vfs/walk.h"

namespace viewsh {

/// The changes of a running view's mount table, with the rules and errors of fs/namespace.c. The
/// mounts that the view began with are locked, as those of a more privileged mount namespace are:
/// they can be covered and made read-only, and no more. mount_namespaces(7)
class MountTable {
 public:
  /// The session has a mounter.
  explicit MountTable(Session& session) : session_(session) {}

  /// Puts a new file system over `target`. EBUSY, ENOTDIR, EINVAL.
  Result<void> add(Mount mount, const Walked& target);
  /// MS_BIND. EINVAL: without MS_REC it would show what a locked mount covers.
  Result<void> bind(const Walked& source, const Walked& target, bool recursive);
  /// MS_MOVE. ELOOP: into itself.
  Result<void> move(const Walked& source, const Walked& target);
  /// MS_REMOUNT with MS_BIND: the flags of one mount.
  Result<void> remount_bind(const Walked& at, unsigned long flags);
  /// MS_REMOUNT: those of the file system. `options`: data of mount(2).
  Result<void> remount(const Walked& at, unsigned long flags, const std::string& options);
  /// umount2(2). What can't be written back (ENOSPC, EIO) leaves the mount as it is, unless it is
  /// to be taken away in any case (`detach`).
  Result<void> remove(const Walked& at, bool detach);
  /// Ends the file systems that are in no table any more and that nobody uses. Mounter::end()
  void reap();
  /// Ends all file systems that processes of the view have, and before them what lies in these,
  /// whoever uses them.
  void remove_served();
  /// Its content is with a process of the view, or in an image that lies there.
  bool leads_to_server(const Mount& mount) const;
  /// Is a mount there that may be spoken of by mount(2)? Of the host's, too.
  bool is_mount_point(const Walked& at) const;

 private:
  using Entries = std::vector<View::Entry>;
  bool is_present(const Walked& at) const;
  bool is_root(const Walked& at) const;
  const Mount* find_late(int id) const;
  bool is_late(int id) const;
  bool is_source(const Mount& mount) const;
  bool is_wanted(const Mount& mount) const;
  Result<void> may_cover(const Mount& top, const Walked& target) const;
  Result<Mount> with_flags(const Mount& old, unsigned long flags, bool super_read_only) const;
  void replace(std::vector<Mount> changed);
  Result<void> may_remove(const Walked& at, bool detach, Entries* kept) const;
  /// Of what nothing else in the table shows.
  Result<void> write_back(const Mount& mount) const;
  void end(const Mount& mount);
  static bool has_locked(const Entries& mounts);
  void split(int id, Entries* kept, Entries* gone) const;

  Session& session_;
};

/// The flags that a mount keeps of those that mount(2) is given.
inline constexpr unsigned long kMountFlags = 1 | 2 | 4 | 8;  // MS_RDONLY NOSUID NODEV NOEXEC

}  // namespace viewsh
