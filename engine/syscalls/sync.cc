#include <sys/mman.h>
#include <sys/uio.h>

#include "syscalls/handlers.h"
#include "syscalls/mount_table.h"
#include "syscalls/writing.h"
#include "viewsh/close_listener.h"

namespace viewsh {

namespace {

/// sync(2) and syncfs(2) leave FUSE servers alone, who may be the ones that call. fuse_sync_fs() of
/// fs/fuse/inode.c
bool is_served(const FileSystem& fs) { return dynamic_cast<const CloseListener*>(&fs) != nullptr; }

/// What lies with a server waits for it, which mustn't be the one that calls.
bool would_wait_for_itself(Call& call, const Mount& mount) {
  return is_of_server(call.task().family.get()) &&
         MountTable(call.session()).leads_to_server(mount);
}

/// What the view's file systems have to do before the kernel's own call. The loop waits for the
/// disk. `all`: it isn't about one object alone.
template <typename Sync>
Outcome before_call(Call& call, bool all, const Sync& sync) {
  for (const auto& mount : all_mounts(call)) {
    FileSystem& fs = *mount->own_fs();
    if (!fs.keeps() || (all && would_wait_for_itself(call, *mount))) continue;
    if (const Result<void> done = sync(fs); !done) return Outcome::error(done.error());
  }
  return Outcome::as_is();
}

/// What leads to a host object ("": to all) is on disk; the content is the kernel's to write.
Outcome sync_names(Call& call, const std::string& host) {
  return before_call(call, host.empty(), [&](FileSystem& fs) { return fs.sync_names(host); });
}

}  // namespace

Outcome sys_fsync(Call& call, Fd fd) {
  Result<OpenObject> object = call.object(fd.value);
  if (!object) return Outcome::as_is();  // EBADF is the kernel's to say
  tell_written(call, object->host);
  return sync_names(call, object->host);
}

/// sync(2) has no error to tell.
Outcome sys_sync(Call& call) {
  for (const auto& mount : all_mounts(call)) {
    FileSystem& fs = *mount->own_fs();
    if (fs.keeps() && !is_served(fs) && !would_wait_for_itself(call, *mount)) (void)fs.sync_all();
  }
  return Outcome::as_is();
}

Outcome sys_syncfs(Call& call, Fd fd) {
  if (!call.object(fd.value)) return Outcome::as_is();
  // The descriptor may be one of the lower's, which can be another file system than the layer's.
  return before_call(call, true,
                     [](FileSystem& fs) { return is_served(fs) ? Result<void>() : fs.sync_all(); });
}

Outcome sys_msync(Call& call, uint64_t, uint64_t, Flags flags) {
  // Which files are mapped there is not looked up: nothing changed since the last one costs
  // nothing.
  return (flags & MS_SYNC) != 0 ? sync_names(call, "") : Outcome::as_is();
}

}  // namespace viewsh
