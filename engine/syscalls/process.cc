#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>

#include "syscalls/handlers.h"
#include "syscalls/mapping.h"
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

/// The program of a struct sock_fprog in the tracee.
Result<std::vector<sock_filter>> read_filter(Call& call, uint64_t address) {
  TRY_ASSIGN(sock_fprog given, call.memory().get<sock_fprog>(address));
  if (given.len == 0 || given.len > BPF_MAXINSNS) return Errno(EINVAL);
  std::vector<sock_filter> program(given.len);
  TRY(call.memory().read(reinterpret_cast<uint64_t>(given.filter), program.data(),
                         program.size() * sizeof(sock_filter)));
  return program;
}

/// A filter that tells newfstatat(2) and fstat(2) apart has to see what the program does.
void restore_fstat(Task& task, const Registers& regs) {
  std::vector<CallSite>& sites = task.mm->sites;
  bool same = std::all_of(sites.begin(), sites.end(), [&](const CallSite& site) {
    return may_shorten_fstat(task, regs, site);
  });
  if (same) return;
  for (const CallSite& site : sites) (void)write_code(task.tid, site.at, site.before);
  sites.clear();
}

/// A program installs a filter of its own: what it says to calls of ours has to be known, and the
/// memory for rewritten calls has to be there before the filter may refuse to map it.
Outcome install_own_filter(Call& call, uint64_t address, bool all_threads) {
  Result<std::vector<sock_filter>> program = read_filter(call, address);
  if (!program.ok()) return Outcome::as_is();  // the kernel says so too
  AddressSpace& mm = *call.task().mm;
  if (mm.arenas.empty() && may_ask_for_memory(call.task(), call.regs(), StubArena::kSize, true)) {
    Outcome out;
    out.kind = Outcome::Kind::kNeedMemory;
    return out;
  }
  Outcome out;
  out.then([&session = call.session(), tid = call.task().tid, all_threads, regs = call.regs(),
            program = std::move(*program)](long result) {
    Task* task = session.task(tid);
    if (result != 0 || task == nullptr) return result;
    task->filters = std::make_shared<OwnFilter>(OwnFilter{program, task->filters});
    restore_fstat(*task, regs);
    if (!all_threads) return result;
    for (const auto& [other, sibling] : session.tasks) {
      if (sibling->tgid == task->tgid) sibling->filters = task->filters;
    }
    return result;
  });
  return out;
}

}  // namespace

/// A process that is not dumpable can't be read by its tracer either, nor its descriptors be looked
/// up: the wish is remembered and answered, the process stays readable for the engine (and for
/// others of the same user).
Outcome sys_prctl(Call& call, int option, uint64_t value, uint64_t third) {
  AddressSpace& mm = *call.task().mm;
  if (option == PR_GET_SECCOMP) return Outcome::result(call.task().filters ? 2 : 0);
  if (option == PR_SET_SECCOMP) {
    return value == SECCOMP_MODE_FILTER ? install_own_filter(call, third, false) : Outcome::as_is();
  }
  if (option == PR_GET_DUMPABLE) return mm.dumpable ? Outcome::as_is() : Outcome::result(0);
  if (value > 1) return Outcome::error(EINVAL);
  mm.dumpable = value == 1;
  return value == 1 ? Outcome::as_is() : Outcome::result(0);
}

/// Trapped for this request alone: viewsh asks whether it runs in a view.
Outcome sys_ptrace(Call&, long request) {
  return request == kAskForView ? Outcome::result(0) : Outcome::as_is();
}

Outcome sys_seccomp(Call& call, unsigned operation, Flags flags, uint64_t program) {
  if (operation != SECCOMP_SET_MODE_FILTER) return Outcome::as_is();
  // A listener's answer outranks the view's filter: CONTINUE would go round the view.
  if ((flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0) return Outcome::error(EINVAL);
  return install_own_filter(call, program, (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0);
}

/// A child that isn't traced would have its trapped calls answered with ENOSYS: CLONE_UNTRACED,
/// with which nothing changes for a program that nobody traces, is taken away. (clone3(2) has its
/// flags in memory, where the filter doesn't see them: such a child gets the ENOSYS.)
///
/// A mount namespace of its own is one in name only, which is for set-user-id programs that aren't
/// root here: FsContext::own_mounts.
Outcome sys_clone(Call& call, uint64_t flags) {
  uint64_t kept = flags & ~uint64_t{CLONE_UNTRACED};
  constexpr uint64_t kOthers = CLONE_NEWUSER | CLONE_FS;
  if (call.session().mounter != nullptr && (flags & kOthers) == 0) kept &= ~uint64_t{CLONE_NEWNS};
  if (kept == flags) return Outcome::as_is();
  Outcome out = Outcome::rewritten().set(0, kept);
  out.then([](long result) { return result; });
  return out;
}

Outcome sys_denied(Call&) { return Outcome::error(EPERM); }

Outcome sys_inotify_add_watch(Call& call, Fd, UserPath path, Flags mask) {
  constexpr unsigned kDontFollow = 0x02000000;
  WalkFlags flags;
  flags.follow = (mask & kDontFollow) == 0;
  Result<Walked> walked = call.walk({AT_FDCWD}, path, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind == Found::Kind::kMissing) return Outcome::error(ENOENT);
  if (walked->native() || walked->proc_magic) return call.run_on(*walked, path);
  Result<std::string> host = walked->fs_mutable().watch(walked->path, call.caller());
  // A watch that would never tell of anything is worse than none.
  if (!host.ok() && host.error() != ENOSYS) return Outcome::error(host.error());
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
  Result<void> there = call.have_content(&*walked, O_PATH, call.caller());
  if (!there.ok()) return Outcome::error(there.error());
  return call.run_on(*walked, path.path);
}

}  // namespace viewsh
