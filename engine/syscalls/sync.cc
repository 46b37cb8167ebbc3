#include <sys/mman.h>
#include <sys/uio.h>

#include "syscalls/handlers.h"

namespace viewsh {

namespace {

/// What leads to a host object ("": to all) is on disk; the content is the kernel's to write, in the
/// call that follows. The loop waits for the disk here, as short as that is after a flush.
Outcome sync_names(Call& call, const std::string& host) {
  for (const auto& mount : call.view().mounts()) {
    if (!mount->fs || !mount->fs->keeps()) continue;
    if (const Result<void> done = mount->fs->sync_names(host); !done) {
      return Outcome::error(done.error());
    }
  }
  return Outcome::as_is();
}

}  // namespace

Outcome sys_fsync(Call& call, Fd fd) {
  Result<OpenObject> object = call.object(fd.value);
  if (!object) return Outcome::as_is();  // EBADF is the kernel's to say
  return sync_names(call, object->host);
}

Outcome sys_syncfs(Call& call, Fd fd) {
  if (!call.object(fd.value)) return Outcome::as_is();
  return sync_names(call, "");
}

Outcome sys_msync(Call& call, uint64_t, uint64_t, Flags flags) {
  // Which files are mapped there is not looked up: nothing changed since the last one costs nothing.
  return (flags & MS_SYNC) != 0 ? sync_names(call, "") : Outcome::as_is();
}

Outcome sys_pwritev2(Call& call, Fd fd, uint64_t vector, int count, uint64_t, uint64_t,
                     Flags flags) {
  if ((flags & (RWF_DSYNC | RWF_SYNC)) != 0) {
    Outcome failed = sys_fsync(call, fd);
    if (failed.kind == Outcome::Kind::kReturn) return failed;
  }
  return sys_quota_writev(call, fd, vector, count);
}

}  // namespace viewsh
