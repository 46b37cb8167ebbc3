#include "tracer.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "job_control.h"
#include "syscalls/close.h"
#include "syscalls/mapping.h"
#include "syscalls/mount_table.h"
#include "syscalls/table.h"

namespace viewsh {

namespace {

/// The kernel's own codes for "restart this call"; a tracer sees them, a program never. errno.h
bool is_restart(long result) { return result <= -512 && result >= -516; }

/// Back to the system call instruction, which makes the call anew.
Registers again(Registers regs) {
  regs.rip -= 2;  // the two bytes of the instruction
  regs.rax = regs.orig_rax;
  regs.orig_rax = static_cast<unsigned long long>(-1);
  return regs;
}

}  // namespace

Tracer::Tracer(Session session, Report* report, Parking* parking, bool kill_on_exit)
    : session_(std::move(session)),
      follower_(&session_),
      fstat_(&session_, session_.fstat_traced, &shared_lookups_),
      lookups_(&session_, &fstat_, &shared_lookups_),
      report_(report),
      parking_(*parking),
      kill_on_exit_(kill_on_exit) {
  session_.show_affinity = [this](Task& task) {
    follower_.let_go(task);
    task.pace.was_bound = false;
  };
  session_.mounted = [this](const Mount& mount) {
    shared_lookups_.mark_name(std::string_view(mount.at).substr(1));
    shared_lookups_.forget_directories();
    fstat_.know(*mount.fs);
  };
  session_.table_changed = [this] { shared_lookups_.forget_directories(); };
  parking_.before_each([this] { pin_view(); });
  session_.server_left = [this] {
    parking_.each_moment([this, round = 0]() mutable { return tell_servers(++round); });
  };
}

int Tracer::run(pid_t leader, mode_t umask) {
  leader_ = leader;
  Task& first = adopt(leader);
  first.tgid = leader;
  first.known = true;
  first.fs = std::make_shared<FsContext>();
  first.fs->umask = umask;
  first.fs->kernel_cwd = "/";
  first.mm = std::make_shared<AddressSpace>();
  catch_signals();
  while (!session_.tasks.empty() || !parking_.empty()) {
    if (signal_is_pending()) forward_signal();
    Event event = next_event();
    if (event.kind == Event::Kind::kNone) break;
    if (event.kind == Event::Kind::kInterrupted) {
      forward_signal();
      continue;
    }
    handle(event);
  }
  // Nobody is left to wait for.
  parking_.interrupt_all();
  parking_.before_each(nullptr);
  return leader_status_;
}

Task& Tracer::adopt(pid_t tid) {
  std::unique_ptr<Task>& slot = session_.tasks[tid];
  if (!slot) {
    slot = std::make_unique<Task>();
    slot->tid = tid;
  }
  return *slot;
}

void Tracer::act_on(const Event& event) {
  if (event.kind == Event::Kind::kExited) return on_exited(event);
  Stopped stopped(event.tid);
  session_.cache->tick();
  if (event.kind == Event::Kind::kExec) return on_exec(event.tid, std::move(stopped));
  Task& task = adopt(event.tid);
  if (!task.known) {
    // A new task's first stop came before its creator's event.
    task.stopped = true;
    return;
  }
  follower_.on_stop(task);
  if (event.kind != Event::Kind::kClone) task.marks_known = fstat_.marked();
  switch (event.kind) {
    case Event::Kind::kCall:
      return on_call(task, std::move(stopped));
    case Event::Kind::kCallExit:
      return on_call_exit(task, std::move(stopped));
    case Event::Kind::kSignal:
      return on_signal(task, std::move(stopped), event.signal);
    case Event::Kind::kGroupStop:
      return on_group_stop(task, std::move(stopped), event.signal);
    case Event::Kind::kClone:
      return on_clone(task, std::move(stopped));
    default:
      return on_stop(task, std::move(stopped));
  }
}

void Tracer::release(Task& task) {
  PendingCall& pending = *task.pending;
  if (pending.froze_cache) session_.cache->thaw();
  if (pending.slot != 0) {
    for (StubArena& arena : task.mm->arenas) {
      if (arena.contains(pending.slot)) arena.release(pending.slot);
    }
  }
  for (Scratch& scratch : task.mm->scratch) {
    if (pending.scratch != 0 && scratch.at == pending.scratch) scratch.owner = 0;
  }
  task.pending.reset();
}

/// The task died in its call: whoever prepared it looks at how far it came.
void Tracer::abandon(Task& task) {
  if (!task.pending) return;
  if (task.pending->at_exit) task.pending->at_exit(-EINTR);
  release(task);
}

bool Tracer::settle(Task& task, Stopped& stopped) {
  if (!task.pending) return false;
  PendingCall pending = std::move(*task.pending);
  task.pending.emplace();
  task.pending->slot = pending.slot;
  task.pending->scratch = pending.scratch;
  task.pending->froze_cache = pending.froze_cache;
  release(task);
  if (!pending.stub || !stopped.load()) return false;
  Registers& regs = stopped.regs();
  if (regs.rip < pending.slot || regs.rip >= pending.slot + StubArena::kCodeSize) return false;
  bool at_entry = regs.rip == pending.slot + StubArena::kEntryAt;
  if (at_entry && static_cast<long>(regs.orig_rax) >= 0) regs.orig_rax = pending.original.orig_rax;
  leave_stub(pending.original, pending.slot, &regs);
  stopped.touch();
  return at_entry;
}

KeptCall Tracer::decide(Task& task, const Row& row, Call* call) {
  KeptCall decided;
  LookupLane::before(task, row.nr);
  decided.outcome = row.handler(*call);
  lookups_.follow(task, *call);
  if (observer_ != nullptr) decided.seen = observer_->look(*call, row, &decided.outcome);
  decided.line = report_->describe(task.tid, row, *call, decided.outcome);
  return decided;
}

void Tracer::on_call(Task& task, Stopped stopped) {
  int64_t begin = report_->wants_time() ? monotonic_ns() : 0;
  settle(task, stopped);
  if (!stopped.load()) return;
  const Registers& regs = stopped.regs();
  long nr = static_cast<long>(regs.orig_rax);
  const Row* row = row_of(nr);
  if (task.mm->closed) return open_program(task, std::move(stopped));
  const LookupLane::Need need = lookups_.prepare(task, regs);
  if (need == LookupLane::Need::kCall) return prepare_lookups(task, std::move(stopped));
  if (need == LookupLane::Need::kArena) {
    return map_memory(task, std::move(stopped), StubArena::kSize, true);
  }
  if (row == nullptr || row->handler == nullptr) {
    return apply(task, std::move(stopped), Outcome::error(ENOSYS));
  }
  ProcessMemory memory(task.tid);
  Call call(session_, task, memory, regs);
  if (report_->tracing()) call.keep_arguments();
  if (observer_ != nullptr) call.keep_visits();
  std::optional<KeptCall> kept = take_kept(task, regs);
  if (!kept) kept = decide(task, *row, &call);
  Outcome& outcome = kept->outcome;
  Outcome::Kind kind = outcome.kind;
  long value = kind == Outcome::Kind::kReturn ? outcome.value : -EFAULT;
  if (kind == Outcome::Kind::kRunAsIs && nr == SYS_newfstatat && !report_->tracing() &&
      fstat_.shorten(task, regs)) {
    outcome.kind = Outcome::Kind::kNeedMemory;
  }
  if (begin != 0) report_->add_time(nr, monotonic_ns() - begin);
  apply(task, std::move(stopped), std::move(outcome));
  if (task.pending && task.pending->own) {
    // Memory is mapped first; the call comes again.
    if (const auto it = kept_.find(task.tid); it != kept_.end()) {
      it->second.seen = std::move(kept->seen);
      it->second.line = std::move(kept->line);
    }
    return;
  }
  if (observer_ != nullptr) observer_->keep(kept->seen);
  report_->count(nr, kind);
  report_->begin(task.tid, std::move(kept->line));
  // A call that wasn't let run has its result already.
  if (kind == Outcome::Kind::kReturn || !task.pending) report_->end(task.tid, value);
}

void Tracer::apply(Task& task, Stopped stopped, Outcome outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kReturn: {
      Registers& regs = stopped.regs();
      regs.orig_rax = static_cast<unsigned long long>(-1);
      regs.rax = static_cast<unsigned long long>(outcome.value);
      stopped.touch();
      return std::move(stopped).resume(Resume::kContinue, 0);
    }
    case Outcome::Kind::kRunAsIs: {
      bool to_exit = outcome.at_exit || report_->tracing();
      if (to_exit || outcome.changes_host) {
        start_pending(task, stopped.regs(), 0, &outcome);
      }
      return std::move(stopped).resume(to_exit ? Resume::kToExit : Resume::kContinue, 0);
    }
    case Outcome::Kind::kRewritten:
      return apply_rewritten(task, std::move(stopped), std::move(outcome));
    case Outcome::Kind::kNeedMemory:
      return map_memory(task, std::move(stopped), StubArena::kSize, true);
  }
}

StubArena* Tracer::take_slot(Task& task, uint64_t* slot) {
  for (StubArena& candidate : task.mm->arenas) {
    if (std::optional<uint64_t> taken = candidate.take(task.tid)) {
      *slot = *taken;
      return &candidate;
    }
  }
  return nullptr;
}

/// A mapping of at least this size that no other task's call uses.
Scratch* Tracer::take_scratch(Task& task, size_t size) {
  for (Scratch& scratch : task.mm->scratch) {
    if (scratch.size >= size && (scratch.owner == 0 || scratch.owner == task.tid)) return &scratch;
  }
  return nullptr;
}

/// Writes a slot, and the texts into it or into the large mapping.
bool Tracer::fill_slot(Task& task, StubArena& arena, uint64_t slot, const Registers& original,
                       const std::string& bytes, const Scratch* large) {
  if (!arena.fill(memory_of(task), slot, original, large != nullptr ? std::string_view() : bytes)) {
    return false;
  }
  return large == nullptr ||
         ProcessMemory(task.tid).write(large->at, bytes.data(), bytes.size()).ok();
}

/// With memory of its own that is mapped first; on the stack where that can't be.
void Tracer::apply_with_new(Task& task, Stopped stopped, size_t size, bool arena, Outcome outcome) {
  if (may_ask_for_memory(task, stopped.regs(), size, arena))
    return map_memory_for(task, std::move(stopped), size, arena, std::move(outcome));
  apply_on_stack(task, std::move(stopped), std::move(outcome));
}

void Tracer::apply_rewritten(Task& task, Stopped stopped, Outcome outcome) {
  size_t size = size_of(outcome.texts);
  if (size == 0 && outcome.at_exit)
    return apply_on_stack(task, std::move(stopped), std::move(outcome));
  uint64_t slot = 0;
  StubArena* arena = take_slot(task, &slot);
  if (arena == nullptr) {
    return apply_with_new(task, std::move(stopped), StubArena::kSize, true, std::move(outcome));
  }
  Scratch* large = size > StubArena::kDataSize ? take_scratch(task, size) : nullptr;
  if (size > StubArena::kDataSize && large == nullptr) {
    arena->release(slot);
    size_t wanted = (size + 8191) & ~size_t{4095};
    return apply_with_new(task, std::move(stopped), wanted, false, std::move(outcome));
  }
  Registers original = stopped.regs();
  Registers& regs = stopped.regs();
  set_arguments(outcome, &regs);
  std::string bytes =
      place_texts(large != nullptr ? large->at : slot + StubArena::kDataAt, outcome, &regs);
  if (!fill_slot(task, *arena, slot, original, bytes, large)) {
    // The program unmapped it: start over with a new one, unless that doesn't help either.
    stopped.regs() = original;
    arena->release(slot);
    task.mm->arenas.clear();
    task.mm->scratch.clear();
    task.mm->mem.reset();
    if (++task.mm->lost_arenas > 3) return apply(task, std::move(stopped), Outcome::error(EFAULT));
    return apply_with_new(task, std::move(stopped), StubArena::kSize, true, std::move(outcome));
  }
  task.mm->lost_arenas = 0;
  // A filter of the program that looks at the instruction wants the call to come from its own.
  if (!outcome.at_exit && !may_call(task, regs, slot + StubArena::kEntryAt)) {
    outcome.then([](long result) { return result; });
  }
  start_pending(task, original, slot, &outcome);
  if (large != nullptr) {
    large->owner = task.tid;
    task.pending->scratch = large->at;
  }
  bool to_exit = !task.pending->stub;
  if (!to_exit) regs.rip = slot + StubArena::kEntryAt;
  stopped.touch();
  std::move(stopped).resume(to_exit ? Resume::kToExit : Resume::kContinue, 0);
}

void Tracer::start_pending(Task& task, const Registers& original, uint64_t slot, Outcome* outcome) {
  PendingCall& pending = task.pending.emplace();
  pending.original = original;
  pending.slot = slot;
  pending.stub = slot != 0 && !outcome->at_exit && !report_->tracing();
  pending.at_exit = std::move(outcome->at_exit);
  if (outcome->changes_host) {
    session_.cache->freeze();
    pending.froze_cache = true;
  }
}

void Tracer::on_call_exit(Task& task, Stopped stopped) {
  if (!stopped.load()) return;
  if (!task.pending) return std::move(stopped).resume(Resume::kContinue, 0);
  PendingCall pending = std::move(*task.pending);
  task.pending.emplace();
  task.pending->slot = pending.slot;
  task.pending->scratch = pending.scratch;
  task.pending->froze_cache = pending.froze_cache;
  release(task);
  Registers& regs = stopped.regs();
  long result = static_cast<long>(regs.rax);
  if (regs.rax == regs.orig_rax && stopped.trapped_by_filter()) {
    return on_refused(task, std::move(stopped), std::move(pending));
  }
  bool restart = is_restart(result);
  if (pending.at_exit) {
    long shown = pending.at_exit(restart ? -EINTR : result);
    if (!restart) result = shown;
  }
  LookupLane::refresh(task);
  bool ended = !restart && result != Outcome::kAgain;
  if (!pending.own) report_->end(task.tid, ended ? std::optional(result) : std::nullopt);
  Registers back = pending.original;
  back.rax = static_cast<unsigned long long>(result);
  back.rcx = regs.rcx;
  back.r11 = regs.r11;
  regs = result == Outcome::kAgain ? again(pending.original) : back;
  stopped.touch();
  std::move(stopped).resume(Resume::kContinue, 0);
}

/// A filter of the program's own trapped the call that we made in the place of the program's. It
/// didn't run, and its SIGSYS comes next. seccomp(2), SECCOMP_RET_TRAP
void Tracer::on_refused(Task& task, Stopped stopped, PendingCall pending) {
  if (pending.at_exit) pending.at_exit(-EPERM);
  Registers back = pending.original;
  back.rax = back.orig_rax;
  back.rcx = stopped.regs().rcx;
  back.r11 = stopped.regs().r11;
  stopped.regs() = pending.own ? again(pending.original) : back;
  stopped.touch();
  task.refused = std::move(pending);
  std::move(stopped).resume(Resume::kContinue, 0);
}

void Tracer::on_stop(Task& task, Stopped stopped) {
  settle(task, stopped);
  end_wait(stopped);
  begin(task, std::move(stopped));
}

namespace {

constexpr int kClone = 56;

/// What a task that makes another one asked for.
uint64_t clone_flags(const Task& task, const Registers& regs) {
  constexpr int kVfork = 58;
  constexpr int kClone3 = 435;
  if (regs.orig_rax == kClone) return regs.rdi;
  if (regs.orig_rax == kVfork) return CLONE_VM | CLONE_VFORK;
  if (regs.orig_rax != kClone3) return 0;
  const Result<uint64_t> given = ProcessMemory(task.tid).get<uint64_t>(regs.rdi);
  return given.ok() ? *given : 0;
}

/// The same memory for a process of its own.
std::shared_ptr<AddressSpace> forked(const AddressSpace& from) {
  auto made = std::make_shared<AddressSpace>();
  made->exe = from.exe;
  made->dumpable = from.dumpable;
  made->refused_memory = from.refused_memory;
  made->closed = from.closed;
  made->fuse_server = from.fuse_server;
  for (const StubArena& arena : from.arenas) made->arenas.push_back(arena.forked());
  made->sites = from.sites;
  made->lane = from.lane;
  made->fstat_calls = from.fstat_calls;
  made->sites_known = from.sites_known;
  made->lookup = from.lookup;
  made->scratch = from.scratch;
  for (Scratch& scratch : made->scratch) scratch.owner = 0;
  return made;
}

}  // namespace

void Tracer::on_clone(Task& task, Stopped stopped) {
  // A clone(2) that was changed is under way itself: its end is still to come.
  bool changed = task.pending && task.pending->at_exit;
  if (!changed) settle(task, stopped);
  Resume how = changed ? Resume::kToExit : Resume::kContinue;
  Result<unsigned long> message = stopped.event_message();
  if (!message.ok() || !stopped.load()) return std::move(stopped).resume(how, 0);
  const Registers& regs = stopped.regs();
  const uint64_t flags = clone_flags(task, regs);
  auto tid = static_cast<pid_t>(*message);
  Task& made = adopt(tid);
  made.known = true;
  made.apart = task.apart;
  made.filters = task.filters;
  made.family = task.family;
  made.traces_closes = task.traces_closes;
  if (changed) made.born_with = task.pending->original;
  const bool own_mounts =
      changed && regs.orig_rax == kClone && (made.born_with->rdi & ~flags & CLONE_NEWNS) != 0;
  made.tgid = (flags & CLONE_THREAD) != 0 ? task.tgid : tid;
  made.fs = (flags & CLONE_FS) != 0 ? task.fs : std::make_shared<FsContext>(*task.fs);
  if (own_mounts) made.fs->own_mounts = true;
  made.mm = (flags & CLONE_VM) != 0 ? task.mm : forked(*task.mm);
  // Either can change the other's root and working directory, of which only a stop tells.
  if ((flags & CLONE_FS) != 0 && (flags & CLONE_VM) == 0) {
    LookupLane::end(task);
    LookupLane::end(made);
  }
  if ((flags & (CLONE_NEWNS | CLONE_NEWUSER)) != 0) LookupLane::end(made);
  follower_.on_clone(task, made);
  fstat_.inherit(made, task.marks_known);
  task.marks_known = made.marks_known = fstat_.marked();
  if (made.stopped) {
    made.stopped = false;
    begin(made, Stopped(tid));
  }
  std::move(stopped).resume(how, 0);
}

void Tracer::on_exec(pid_t tid, Stopped stopped) {
  Result<unsigned long> former = stopped.event_message();
  pid_t old = former.ok() ? static_cast<pid_t>(*former) : tid;
  if (old != tid) {
    // A thread that was not the leader took over the leader's id; the leader went without a word.
    auto it = session_.tasks.find(old);
    if (it != session_.tasks.end()) {
      std::unique_ptr<Task> moved = std::move(it->second);
      session_.tasks.erase(it);
      auto leader = session_.tasks.find(tid);
      if (leader != session_.tasks.end()) abandon(*leader->second);
      follower_.on_renamed(old, tid);
      moved->tid = tid;
      session_.tasks[tid] = std::move(moved);
    }
  }
  Task& task = adopt(tid);
  if (task.pending) release(task);
  if (old != tid) report_->end(tid, std::nullopt);
  report_->end(old, 0);
  task.mm = std::make_shared<AddressSpace>();
  task.family = begin_family(task.family);
  const auto closed = task.exec ? std::move(task.exec->closes) : std::vector<std::string>();
  finish_exec(task, stopped);
  if (!closed.empty()) tell_exec(session_, closed);
  if (task.traces_closes) tell_closed_later();
  if (observer_ != nullptr) observer_->on_exec();
  std::move(stopped).resume(Resume::kContinue, 0);
}

}  // namespace viewsh
