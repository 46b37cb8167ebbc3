#pragma once

#include <cstdint>
#include <string>

#include "answer_lane.h"
#include "fstat_lane.h"
#include "syscalls/call.h"
#include "syscalls/session.h"
#include "tracee/lookup_table.h"

namespace viewsh {

/// Makes look-ups of names that the view shows as the host does cost no stop: where a program's
/// code makes stat(2), open(2) for reading and their kin, it is changed to ask LookupCode first,
/// which makes the call natively and looks into tables whether the answer holds. Only for views
/// that hide nothing of the host. In others the code knows what file systems that never change have
/// said before (AnswerLane). docs/design.md.
class LookupLane {
 public:
  /// What a task has to do before its own call, which comes again then.
  enum class Need { kNothing, kArena, kCall };

  LookupLane(Session* session, FstatLane* marks, SharedLookups* table)
      : session_(session), marks_(marks), table_(table), answers_(session, table) {}

  /// A task is stopped at the entry of a call, with which nothing was done yet.
  Need prepare(Task& task, const Registers& regs);
  /// The call's handler has looked at it: so that the next one like it need not stop.
  void follow(Task& task, Call& call);
  /// After Need::kCall: writes that call into `regs`, and hears what became of it.
  void ask(const Task& task, Registers* regs) const;
  void answered(Task& task, long result);
  /// The process is told its working directory, where that is another one by now.
  static void refresh(Task& task);
  /// A task got a SIGSEGV or SIGBUS. True: it was where the code in it gives the program what was
  /// found; the call is made with a stop then, which says EFAULT.
  static bool recover(const Task& task, Registers* regs);
  /// A call is about to be made after which look-ups may mean something else.
  static void before(Task& task, long nr);
  /// From now on all look-ups of the process stop.
  static void end(Task& task);

 private:
  bool usable();
  bool wants_answers() const;
  bool begin(Task& task);
  void change_code(Task& task, const Registers& regs);
  void learn(Call& call);
  void learn_up(std::string path);
  bool learn_base(Call& call, int dir, const std::string& text, std::string* path, uint64_t* hash);
  bool shows(const std::string& path) const;

  Session* session_;
  FstatLane* marks_;
  SharedLookups* table_;
  AnswerLane answers_;
  bool asked_ = false;
  bool usable_ = false;
  bool native_ = false;  ///< calls that the code makes aren't stopped
};

}  // namespace viewsh
