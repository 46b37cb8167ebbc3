#pragma once

#include <sched.h>
#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tracee/call_site.h"
#include "tracee/own_filter.h"
#include "tracee/stopped.h"
#include "tracee/stub.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

class View;

/// What CLONE_FS shares: the working directory and the umask. clone(2).
struct FsContext {
  std::string cwd = "/";   ///< canonical view path
  std::string kernel_cwd;  ///< host path of the directory that the kernel holds as cwd
  bool cwd_gone = false;   ///< removed in the view
  /// The view that shows the working directory, where the present one doesn't: a mount covers it,
  /// or the one that it lies in was taken away (MNT_DETACH). Null: the present one.
  std::shared_ptr<const View> cwd_view;
  std::string root = "/";  ///< view path. chroot(2)
  /// In a mount namespace of its own, by clone(2), in which only the directory `bound` can be bound
  /// over "/", for the mount table to tell of what is below it. fusermount3(1), auto_unmount
  bool own_mounts = false;
  std::string bound;
  mode_t umask = 022;
};

/// A mapping for large texts, and the task whose call uses it now (0: free).
struct Scratch {
  uint64_t at = 0;
  size_t size = 0;
  pid_t owner = 0;
};

/// How far a process is on its way to look-ups without stops: LookupLane.
struct LookupState {
  enum class Stage : uint8_t {
    kCounting,  ///< whether it makes enough of them
    kOpen,      ///< has to open the table's file,
    kMap,       ///< map it
    kAnswers,   ///< and what is behind the table,
    kClose,     ///< and close it again; then
    kCache,     ///< get memory of its own
    kReady,
    kOff,
  };
  Stage stage = Stage::kCounting;
  bool mapped = false;
  int calls = 0;
  int names = 0;  ///< of these, in what never changes, those that ask for a name's attributes
  int fd = -1;
  uint64_t at = 0;              ///< LookupCode
  uint64_t answers = 0;         ///< AnswerTable
  uint64_t cwd = 0;             ///< what the process was told: LookupData::cwd,
  std::string cwd_host;         ///< and by which host path it got cwd_dev and cwd_ino; "": 0
  std::vector<uint64_t> known;  ///< return addresses that were looked at
};

/// What CLONE_VM shares: an address space, and what of ours lies in it.
struct AddressSpace {
  std::vector<StubArena> arenas;
  std::vector<Scratch> scratch;       ///< mappings for texts too large for a slot
  int lost_arenas = 0;                ///< in a row, found unwritable
  std::vector<CallSite> sites;        ///< that were changed: FstatLane, LookupLane
  std::vector<uint64_t> sites_known;  ///< return addresses that were looked at for that
  uint64_t lane = 0;                  ///< where the code that they lead to is; 0: there is none
  int fstat_calls = 0;
  LookupState lookup;
  UniqueFd mem;                 ///< /proc/PID/mem, opened when first needed
  std::string exe;              ///< view path of the program, as /proc/self/exe shows it
  bool dumpable = true;         ///< as the program believes. prctl(2), PR_SET_DUMPABLE
  bool refused_memory = false;  ///< the kernel gave no more: texts go to the stack
  /// The program may be run but not read, so its memory is closed to the engine until the task has
  /// opened it. What is to be put into it then: AT_EXECFN, and where its stack began.
  bool closed = false;
  std::string late_name;
  uint64_t late_stack = 0;
  bool fuse_server = false;  ///< it opened /dev/fuse
};

/// What a program was started by: the processes that it made itself are of its family, those that
/// run another program have one of their own.
struct Family {
  std::shared_ptr<const Family> parent;
  unsigned depth = 0;
  bool fuse_server = false;  ///< one of it opened /dev/fuse
};
/// That of another program. Of very long rows of them, those in the middle are left out.
inline std::shared_ptr<Family> begin_family(const std::shared_ptr<Family>& parent) {
  constexpr unsigned kMost = 100;
  const bool deep = parent->depth >= kMost;
  return std::make_shared<Family>(
      Family{deep ? parent->parent : parent, deep ? parent->depth : parent->depth + 1, false});
}
/// Is it a server's, or started by one?
inline bool is_of_server(const Family* family) {
  while (family != nullptr && !family->fuse_server) family = family->parent.get();
  return family != nullptr;
}

/// The exec that a task is about to do.
struct PendingExec {
  std::string exe;          ///< view path of the program
  std::string name;         ///< what AT_EXECFN has to say; empty: the kernel's is right
  bool unreadable = false;  ///< by its mode
  /// Host paths of what it closes, where somebody hears of that: tell_exec().
  std::vector<std::string> closes;
  std::string comm;         ///< what the task's name has to be; empty: the kernel's is right
  std::string interpreter;  ///< started by our loader: view path of the ELF interpreter
  std::string program;      ///< and of the program
};

/// A call of ours that is under way in a stopped-then-resumed task.
struct PendingCall {
  Registers original;    ///< at the entry of the program's own call
  uint64_t slot = 0;     ///< 0: none
  uint64_t scratch = 0;  ///< 0: none
  bool stub = false;     ///< returns through the slot's code; no exit stop
  /// Result of the call that ran -> result of the program's call, or Outcome::kAgain.
  std::function<long(long)> at_exit;
  bool own = false;  ///< it has nothing to do with the program's call: memory for us
  bool froze_cache = false;
};

/// How quickly a task's stops follow each other, and whether it is bound to the engine's processor.
struct Pace {
  int64_t last_stop_ns = 0;
  int quick_stops = 0;
  bool bound = false;
  bool was_bound = false;  ///< `mask` is right; a fork under way may still copy the other one
  cpu_set_t mask{};        ///< the task's own affinity while it is bound
};

/// A thread that we trace. Shared parts are shared_ptr, as the kernel shares them by clone flags.
struct Task {
  pid_t tid = 0;
  pid_t tgid = 0;
  std::shared_ptr<FsContext> fs;
  std::shared_ptr<AddressSpace> mm;
  std::shared_ptr<Family> family = std::make_shared<Family>();
  bool traces_closes = false;  ///< trace_closes() was done, or can't be
  std::optional<PendingCall> pending;
  std::optional<PendingExec> exec;
  OwnFilters filters;  ///< that the program installed itself
  /// A new task whose clone(2) was changed: its argument registers, for its first stop.
  std::optional<Registers> born_with;
  bool known = false;    ///< its creator told of it
  bool stopped = false;  ///< its first stop came before that; waits for it
  bool apart =
      false;  ///< the engine's descriptors are out of its reach: a user namespace of its own
  /// A call of ours, or the program's as we changed it, was trapped by the program's own filter:
  /// the SIGSYS for it is about to come. seccomp(2)
  std::optional<PendingCall> refused;
  Pace pace;
  uint64_t marks_known = 0;  ///< FstatLane::marked() at the last stop
  /// A wait that was made again after an ignored signal: until when it lasts at most.
  struct Wait {
    uint64_t stack = 0;
    int64_t deadline_ns = 0;
  };
  std::optional<Wait> wait;
};

}  // namespace viewsh
