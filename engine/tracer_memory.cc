#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "syscalls/mapping.h"
#include "tracer.h"

namespace viewsh {

/// Lays the texts out from `at` on and points the argument registers (and pointers inside) there.
std::string Tracer::place_texts(uint64_t at, const Outcome& outcome, Registers* regs) {
  std::string bytes;
  for (const Outcome::Text& text : outcome.texts) {
    bytes.resize((bytes.size() + 7) & ~size_t{7});
    size_t from = bytes.size();
    uint64_t here = at + from;
    bytes.append(text.bytes);
    for (const auto& [where, target] : text.pointers) {
      uint64_t value = here + target;
      memcpy(bytes.data() + from + where, &value, sizeof value);
    }
    argument_register(*regs, text.argument) = here;
  }
  return bytes;
}

size_t Tracer::size_of(const std::vector<Outcome::Text>& texts) {
  size_t size = 0;
  for (const Outcome::Text& text : texts) size += text.bytes.size() + 8;
  return size;
}

void Tracer::map_memory(Task& task, Stopped stopped, size_t size, bool arena) {
  task.pending.emplace();
  task.pending->original = stopped.regs();
  task.pending->own = true;
  task.pending->at_exit = [mm = task.mm, size, arena](long result) {
    if (result == -EINTR) return result;  // killed in it; others may share the address space
    if (result < 0 && result > -4096) {
      mm->refused_memory = true;
    } else if (arena) {
      mm->arenas.emplace_back(static_cast<uint64_t>(result));
    } else {
      mm->scratch.push_back({static_cast<uint64_t>(result), size, 0});
    }
    return Outcome::kAgain;
  };
  ask_for_memory(&stopped.regs(), size, arena);
  stopped.touch();
  std::move(stopped).resume(Resume::kToExit, 0);
}

namespace {

bool same_call(const Registers& a, const Registers& b) {
  return a.orig_rax == b.orig_rax && a.rip == b.rip && a.rsp == b.rsp && a.rdi == b.rdi &&
         a.rsi == b.rsi && a.rdx == b.rdx && a.r10 == b.r10 && a.r8 == b.r8 && a.r9 == b.r9;
}

}  // namespace

void Tracer::map_memory_for(Task& task, Stopped stopped, size_t size, bool arena, Outcome outcome) {
  drop_kept(task.tid);
  kept_[task.tid] = {stopped.regs(), std::move(outcome), {}, {}};
  map_memory(task, std::move(stopped), size, arena);
}

/// The task's call, if it is the one that was kept. Another one, of a signal's handler, means that
/// it isn't made now.
std::optional<KeptCall> Tracer::take_kept(const Task& task, const Registers& regs) {
  const auto it = kept_.find(task.tid);
  if (it == kept_.end()) return std::nullopt;
  if (!same_call(it->second.regs, regs)) {
    drop_kept(task.tid);
    return std::nullopt;
  }
  KeptCall kept = std::move(it->second);
  kept_.erase(it);
  return kept;
}

/// As if it had been interrupted before it began.
void Tracer::drop_kept(pid_t tid) {
  const auto it = kept_.find(tid);
  if (it == kept_.end()) return;
  if (it->second.outcome.at_exit) (void)it->second.outcome.at_exit(-EINTR);
  kept_.erase(it);
}

void Tracer::prepare_lookups(Task& task, Stopped stopped) {
  task.pending.emplace();
  task.pending->original = stopped.regs();
  task.pending->own = true;
  task.pending->at_exit = [this, tid = task.tid](long result) -> long {
    if (result == -EINTR) return result;  // killed in it
    if (Task* asked = session_.task(tid)) lookups_.answered(*asked, result);
    return Outcome::kAgain;
  };
  lookups_.ask(task, &stopped.regs());
  stopped.touch();
  std::move(stopped).resume(Resume::kToExit, 0);
}

namespace {

constexpr uint64_t kRedZone = 128;

/// Writes to a stack, which grows by that where it has to. False: there is no room on it.
bool write_to_stack(pid_t tid, int mem_fd, uint64_t at, const std::string& bytes) {
  ProcessMemory memory(tid);
  if (memory.write(at, bytes.data(), bytes.size()).ok()) return true;
  ssize_t n = pwrite(mem_fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
  // By /proc/PID/mem a guard page can be written as well; the task couldn't read it.
  std::string back(bytes.size(), '\0');
  return n == static_cast<ssize_t>(bytes.size()) && memory.read(at, back.data(), back.size()).ok();
}

}  // namespace

/// Runs a rewritten call of a task that must not map memory (its own filter says so) or got none.
/// The texts lie below the red zone of its stack while the call runs; what was there comes back
/// after it.
void Tracer::apply_on_stack(Task& task, Stopped stopped, Outcome outcome) {
  Registers original = stopped.regs();
  Registers& regs = stopped.regs();
  size_t size = size_of(outcome.texts);
  Scratch* mapped = take_scratch(task, size);
  uint64_t at = mapped != nullptr ? mapped->at : (original.rsp - kRedZone - size) & ~uint64_t{15};
  set_arguments(outcome, &regs);
  std::string bytes = place_texts(at, outcome, &regs);
  if (!bytes.empty()) {
    std::string before(bytes.size(), '\0');
    bool had =
        mapped == nullptr && ProcessMemory(task.tid).read(at, before.data(), before.size()).ok();
    if (!write_to_stack(task.tid, memory_of(task), at, bytes)) {
      regs = original;
      return apply(task, std::move(stopped), Outcome::error(ENOMEM));
    }
    outcome.then([tid = task.tid, at, had, before = std::move(before)](long result) {
      // A task that was killed meanwhile has no stack any more.
      if (had) (void)ProcessMemory(tid).write(at, before.data(), before.size()).ok();
      return result;
    });
  } else if (!outcome.at_exit) {
    outcome.then([](long result) { return result; });
  }
  start_pending(task, original, 0, &outcome);
  if (mapped != nullptr) {
    mapped->owner = task.tid;
    task.pending->scratch = mapped->at;
  }
  stopped.touch();
  std::move(stopped).resume(Resume::kToExit, 0);
}

void Tracer::set_arguments(const Outcome& outcome, Registers* regs) {
  for (unsigned i = 0; i < 6; ++i) {
    if (outcome.arguments[i]) argument_register(*regs, i) = *outcome.arguments[i];
  }
  if (outcome.nr >= 0) regs->orig_rax = static_cast<unsigned long long>(outcome.nr);
}

/// A program without read permission is closed to its tracer too. Its first trapped call is
/// preceded by one that opens it: prctl(2), PR_SET_DUMPABLE.
void Tracer::open_program(Task& task, Stopped stopped) {
  task.pending.emplace();
  task.pending->original = stopped.regs();
  task.pending->own = true;
  task.pending->at_exit = [mm = task.mm, tid = task.tid,
                           identity = session_.identity](long result) -> long {
    if (result == -EINTR) return result;  // killed in it
    mm->closed = false;
    mm->dumpable = false;
    finish_name(ProcessMemory(tid), *mm, identity);
    return Outcome::kAgain;
  };
  Registers& regs = stopped.regs();
  regs.orig_rax = SYS_prctl;
  regs.rdi = PR_SET_DUMPABLE;
  regs.rsi = 1;
  regs.rdx = regs.r10 = regs.r8 = 0;
  stopped.touch();
  std::move(stopped).resume(Resume::kToExit, 0);
}

/// A new task begins with the registers that its maker had, not with those of a changed clone(2).
void Tracer::begin(Task& task, Stopped stopped) {
  if (task.born_with && stopped.load()) {
    for (unsigned i = 0; i < 6; ++i) {
      argument_register(stopped.regs(), i) = argument_register(*task.born_with, i);
    }
    stopped.touch();
  }
  task.born_with.reset();
  std::move(stopped).resume(Resume::kContinue, 0);
}

}  // namespace viewsh
