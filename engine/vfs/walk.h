#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vfs/view.h"

namespace viewsh {

/// What /proc means to the process that walks: the places where procfs answers by who asks.
class ProcView {
 public:
  virtual ~ProcView() = default;
  /// Text of /proc/self ("1234") and /proc/thread-self ("1234/task/1235").
  virtual std::string self() const = 0;
  virtual std::string thread_self() const = 0;
  /// Is this a process that the view doesn't show (the engine)?
  virtual bool hidden(std::string_view pid) const = 0;
  /// The view path that a magic link (cwd, root, exe, fd/N of a process) leads to; nullopt: let the
  /// kernel follow it (a pipe, a deleted file, a process of no view).
  /// `inside` is the path below /proc, e.g. "1234/fd/5".
  virtual std::optional<std::string> magic_target(std::string_view inside) const = 0;
  /// Does a magic link that the kernel is to follow lead to a directory?
  virtual bool leads_to_directory(std::string_view inside) const = 0;
};

/// What a path led to.
struct Walked {
  std::shared_ptr<const Mount> mount;
  std::string path;       ///< in the mount's file system
  std::string view_path;  ///< canonical
  Found found;            ///< kNode or kMissing
  bool identity = false;  ///< the kernel, given the task's own text, arrives at found.host as well
  bool must_be_dir = false;  ///< trailing slash or "."
  bool proc_magic = false;   ///< found.host is a magic link of procfs that the kernel is to follow
  bool ends_in_dot = false;  ///< the last component was "." or ".."
  const FileSystem& fs() const { return *mount->fs; }
  FileSystem& fs_mutable() const { return *mount->fs; }
  /// The task's own call on found.host does all that is asked.
  bool native() const {
    return found.in_place && mount->fs->transparent() && !mount->fs->read_only();
  }
};

struct WalkStart {
  std::string view_dir = "/";   ///< canonical; where a relative path starts
  std::string kernel_dir = {};  ///< host path of the task's real directory there; "": unknown
  std::string root = "/";       ///< canonical; where absolute paths start and ".." ends. chroot(2)
  /// The view that has `view_dir`, where the present one shows it no more; null: the present one.
  std::shared_ptr<const View> view = nullptr;
};

/// A symbolic link that a walk followed.
struct FollowedLink {
  std::string view_path;
  std::string target;
};

struct WalkFlags {
  bool follow = true;  ///< follow a link as the last component
  bool want_exists = false;
  uint64_t resolve = 0;                           ///< RESOLVE_* of openat2(2)
  std::vector<FollowedLink>* followed = nullptr;  ///< gets the links on the way; null: nobody asks
};

/// True for the call's last component being what names a magic link: PID/cwd, PID/root, PID/exe,
/// PID/fd/N, PID/ns/X, PID/map_files/X, PID/task/TID/...
bool is_magic_name(std::string_view inside_proc);

/// The one path walk: path_resolution(7) in a view. Errors: ENOENT, ENOTDIR, EACCES, ELOOP (40
/// links), ENAMETOOLONG, EXDEV (RESOLVE_*).
Result<Walked> walk(const View& view, const WalkStart& start, std::string_view path,
                    WalkFlags flags, const Caller& caller, const ProcView* proc);

}  // namespace viewsh
