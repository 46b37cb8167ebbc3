#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "syscalls/mounter.h"
#include "syscalls/task.h"
#include "syscalls/user_mounts.h"
#include "vfs/device_fs.h"
#include "vfs/host_fs.h"
#include "vfs/view.h"
#include "viewsh/exec_format.h"
#include "viewsh/identity.h"

namespace viewsh {

/// The running view as the handlers see it: its mount table, its tasks, its credentials.
struct Session {
  std::shared_ptr<const View> view;
  std::shared_ptr<PathCache> cache;
  std::unordered_map<pid_t, std::unique_ptr<Task>> tasks;
  std::vector<ExecFormats*> exec_formats;
  pid_t engine_pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  Identity* identity = nullptr;  ///< who the processes are in the view; null: the same. Not owned
  bool fstat_traced = false;     ///< the filter stops fstat(2)
  bool host_proc = true;         ///< /proc of the view is the host's procfs
  bool began_with_host_proc = true;
  /// Where the file for look-ups without stops goes; empty: each of them is to stop.
  std::string lookup_file;
  bool native_lookups = false;  ///< the filter lets those through that say so
  std::string loader;           ///< host path of the program that starts foreign programs
  std::string socket_dir;       ///< a short private directory for socket names; made when needed
  std::unordered_map<std::string, std::string> socket_names;  ///< host socket path -> view name
  int next_socket = 0;
  std::vector<std::shared_ptr<DeviceFs>> devices;  ///< of the view
  Mounter* mounter = nullptr;                      ///< of a view in which may be mounted; not owned
  MountRights mount_rights;                        ///< what may be mounted
  /// The file systems that were mounted while the view ran, and that are still in use: in the
  /// table, covered, or taken away from it (MNT_DETACH).
  std::vector<std::shared_ptr<const Mount>> late;
  /// Who knows by heart what the view shows hears of each new mount.
  std::function<void(const Mount&)> mounted;
  /// And of each other mount table, which is `view` by then.
  std::function<void()> table_changed;
  /// A FUSE server isn't needed any more, and is to hear of that.
  std::function<void()> server_left;
  /// Gives a task the affinity back that it believes to have.
  std::function<void(Task&)> show_affinity;

  /// Where the view shows one host object at several places (a bind, a merge): by which of them it
  /// was opened last. Host path -> view path; kept only for such views, and bounded.
  bool has_aliases = false;
  std::unordered_map<std::string, std::string> opened_at;
  void note_opened(const std::string& host, const std::string& view_path);
  /// The view path of a host object: the one it was opened by, where that still holds.
  std::optional<std::string> view_path_of(const std::string& host) const;
  /// The view path of a name of what a descriptor is open on, where that has lost the one that it
  /// was opened by. `link`: its link in /proc.
  std::optional<std::string> name_of_open(const std::string& link) const;
  /// May what is open behind a link in /proc be changed natively, where the view shows it nowhere?
  bool owns(const std::string& link, const struct stat& object) const;

  Caller caller(const Task& task) const {
    return {uid, gid, groups, task.fs->umask,
            identity == nullptr ? nullptr : &identity->credentials()};
  }
  /// Owners as the view shows them, of attributes that the kernel or a file system gave.
  void show_owner(Attr* attr) const;
  /// Are they others than the kernel's?
  bool shows_other_owner(const Attr& attr) const;
  Task* task(pid_t tid) const {
    auto it = tasks.find(tid);
    return it == tasks.end() ? nullptr : it->second.get();
  }
  /// Another mount table. Who works where a mount covers it now, or in a mount that went, goes on
  /// in the view as it was. `from`, `to`: where a mount was moved; else empty.
  void change_table(const std::shared_ptr<const View>& next, const std::string& from = {},
                    const std::string& to = {});
  /// A host object that a mount shows which is covered or was taken away: a view of that mount
  /// alone, and the path in it. Null view: none does.
  struct Covered {
    std::shared_ptr<const View> view;
    std::string path;
  };
  Covered covered_place(const std::string& host) const;
  /// A directory moved in the view: working directories in it move along. rename(2).
  void directory_moved(const std::string& from, const std::string& to);
  /// A directory went: who works in it works nowhere. rmdir(2).
  void directory_removed(const std::string& path);
};

}  // namespace viewsh
