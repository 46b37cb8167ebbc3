#include <sched.h>

#include "syscalls/handlers.h"
#include "tracee/event.h"

namespace viewsh {

Outcome sys_umask(Call& call, Mode mask) {
  call.task().fs->umask = mask & 0777;
  return Outcome::as_is();
}

Outcome sys_unshare(Call& call, uint64_t flags) {
  if ((flags & (CLONE_FS | CLONE_NEWNS)) == 0) return Outcome::as_is();
  Outcome out;
  Task* task = &call.task();
  out.then([task](long result) {
    if (result == 0) task->fs = std::make_shared<FsContext>(*task->fs);
    return result;
  });
  return out;
}

Outcome sys_setns(Call& call, Fd, int type) {
  (void)call;
  // Another mount namespace has other files under the same names: the view would not hold there.
  if (type == 0 || (type & CLONE_NEWNS) != 0) return Outcome::error(EPERM);
  return Outcome::as_is();
}

Outcome sys_affinity(Call& call, pid_t tid) {
  Task* task = tid == 0 ? &call.task() : call.session().task(tid);
  if (task != nullptr && call.session().show_affinity) call.session().show_affinity(*task);
  return Outcome::as_is();
}

namespace {

/// What the engine needs in the task is mapped while the program's filter can't forbid it yet.
Outcome before_filter(Call& call) {
  AddressSpace& mm = *call.task().mm;
  return mm.arenas.empty() && !mm.no_more ? Outcome::needs_stub() : Outcome::as_is();
}

}  // namespace

/// A process that is not dumpable can't be read by its tracer either, nor its descriptors be looked
/// up: the wish is remembered and answered, the process stays readable for the engine (and for
/// others of the same user).
Outcome sys_prctl(Call& call, int option, uint64_t value) {
  constexpr int kGetDumpable = 3;
  constexpr int kSetSeccomp = 22;
  AddressSpace& mm = *call.task().mm;
  if (option == kSetSeccomp) return before_filter(call);
  if (option == kGetDumpable) return mm.dumpable ? Outcome::as_is() : Outcome::result(0);
  if (value > 1) return Outcome::error(EINVAL);
  mm.dumpable = value == 1;
  return value == 1 ? Outcome::as_is() : Outcome::result(0);
}

/// Trapped for this request alone: viewsh asks whether it runs in a view.
Outcome sys_ptrace(Call&, long request) {
  return request == kAskForView ? Outcome::result(0) : Outcome::as_is();
}

Outcome sys_seccomp(Call& call, unsigned operation, Flags flags) {
  constexpr unsigned kSetModeFilter = 1;
  constexpr unsigned kNewListener = 8;
  // A listener's answer outranks the view's filter: CONTINUE would go round the view.
  bool listens = operation == kSetModeFilter && (flags & kNewListener) != 0;
  if (listens) return Outcome::error(EINVAL);
  return operation == kSetModeFilter ? before_filter(call) : Outcome::as_is();
}

Outcome sys_denied(Call&) { return Outcome::error(EPERM); }

Outcome sys_inotify_add_watch(Call& call, Fd, UserPath path, Flags mask) {
  constexpr unsigned kDontFollow = 0x02000000;
  WalkFlags flags;
  flags.follow = (mask & kDontFollow) == 0;
  Result<Walked> walked = call.walk({AT_FDCWD}, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->native() || walked->fs().read_only() || walked->proc_magic) return call.run_on(*walked, path);
  Result<std::string> host = walked->fs_mutable().watch(walked->path, call.caller());
  if (!host.ok() || *host == walked->found.host) return call.run_on(*walked, path);
  return Outcome::rewritten().path(path.argument, *host);
}

Outcome sys_fanotify_mark(Call& call, Fd, Flags flags, uint64_t, DirFd dir, OptionalPath path) {
  if (path.null) return Outcome::as_is();
  constexpr unsigned kDontFollow = 0x4;
  WalkFlags how;
  how.follow = (flags & kDontFollow) == 0;
  Result<Walked> walked = call.walk(dir, path.path, how);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  return call.run_on(*walked, path.path);
}

}  // namespace viewsh
