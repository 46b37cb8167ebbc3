#pragma once

#include <ctime>
#include <memory>

#include "affinity.h"
#include "fstat_lane.h"
#include "lookup_lane.h"
#include "observer.h"
#include "parking.h"
#include "report.h"
#include "syscalls/session.h"
#include "tracee/event.h"
#include "tracee/stopped.h"

namespace viewsh {

/// The event loop of a view: takes stops, asks the table's handlers, applies their outcomes. The
/// one place that resumes a tracee. Single-threaded.
/// A call that was decided, and is made when the task has memory for it.
struct KeptCall {
  Registers regs;
  Outcome outcome;
  Observer::Seen seen;
  Report::Line line;
};

class Tracer {
 public:
  /// `parking`: where calls wait for processes of the view. Not owned, outlives the run.
  Tracer(Session session, Report* report, Parking* parking, bool kill_on_exit);
  /// Shows the calls to who writes down what they use. Not owned, outlives the run.
  void observe(Observer* observer) { observer_ = observer; }
  /// The servers of the view are another one's until this descriptor is at its end.
  void serve_until(int control);
  /// Runs until the last task of the view is gone; the wait status of the first process.
  int run(pid_t leader, mode_t umask);

 private:
  Event next_event();
  void handle(const Event& event);
  void act_on(const Event& event);
  /// What was begun for a task and waits comes to its end.
  void unpark(pid_t tid);
  void on_call(Task& task, Stopped stopped);
  void on_call_exit(Task& task, Stopped stopped);
  void on_refused(Task& task, Stopped stopped, PendingCall pending);
  void on_signal(Task& task, Stopped stopped, int signal);
  void on_group_stop(Task& task, Stopped stopped, int signal);
  void on_stop(Task& task, Stopped stopped);
  void on_clone(Task& task, Stopped stopped);
  void on_exec(pid_t tid, Stopped stopped);
  void on_exited(const Event& event);

  /// A call under way ended, or was cut off, by the time of this stop: registers as the program
  /// expects them. True: the call is made anew (it was restarted inside the stub).
  bool settle(Task& task, Stopped& stopped);
  bool explain_sigsys(Task& task, Stopped& stopped);
  static bool explain_fault(Task& task, Stopped& stopped);
  void apply(Task& task, Stopped stopped, Outcome outcome);
  void apply_rewritten(Task& task, Stopped stopped, Outcome outcome);
  void apply_on_stack(Task& task, Stopped stopped, Outcome outcome);
  /// Makes the task map memory, then its own call again.
  void map_memory(Task& task, Stopped stopped, size_t size, bool arena);
  /// The same for a call that is decided already: what was done for it isn't done twice.
  void apply_with_new(Task& task, Stopped stopped, size_t size, bool arena, Outcome outcome);
  void map_memory_for(Task& task, Stopped stopped, size_t size, bool arena, Outcome outcome);
  KeptCall decide(Task& task, const Row& row, Call* call);
  std::optional<KeptCall> take_kept(const Task& task, const Registers& regs);
  void drop_kept(pid_t tid);
  void open_program(Task& task, Stopped stopped);
  /// The same with the call that LookupLane wants to be made.
  void prepare_lookups(Task& task, Stopped stopped);
  void begin(Task& task, Stopped stopped);
  static std::string place_texts(uint64_t at, const Outcome& outcome, Registers* regs);
  static size_t size_of(const std::vector<Outcome::Text>& texts);
  static void set_arguments(const Outcome& outcome, Registers* regs);
  StubArena* take_slot(Task& task, uint64_t* slot);
  bool fill_slot(Task& task, StubArena& arena, uint64_t slot, const Registers& original,
                 const std::string& bytes, const Scratch* large);
  Scratch* take_scratch(Task& task, size_t size);
  /// Remembers what has to be done when the call that is resumed now is over.
  void start_pending(Task& task, const Registers& original, uint64_t slot, Outcome* outcome);
  void finish_exec(Task& task, Stopped& stopped);
  static void finish_name(const TraceeMemory& memory, AddressSpace& mm, const Identity* identity);
  Task& adopt(pid_t tid);
  void catch_signals();
  static bool signal_is_pending();
  void forward_signal();
  /// COMMAND has ended, others go on: says on a terminal that they are waited for, and lets its
  /// Ctrl-C end them.
  void expect_the_rest();
  void tell_waiting();
  void release(Task& task);
  void abandon(Task& task);
  void reap_mounts();
  void tell_closed_later();
  bool nobody_is_left();
  /// What was written to files of servers gets there every second. In how many milliseconds it is
  /// to be asked for again; -1: nothing is open for writing.
  int write_back_served();
  void sync_on_servers();
  /// Servers whose mounts aren't there yet, or are gone, hear of it where they wait. False: there
  /// is none.
  bool tell_servers(int round);
  /// The same for one that was stopped there.
  void end_wait(Stopped& stopped);
  void end_servers_alone();
  /// Calls that wait go on in views that aren't the present one any more.
  void pin_view();

  Session session_;
  std::unordered_map<pid_t, KeptCall> kept_;  ///< of tasks that map memory first
  CpuFollower follower_;
  SharedLookups shared_lookups_;
  FstatLane fstat_;
  LookupLane lookups_;
  Report* report_;
  Parking& parking_;
  std::vector<std::shared_ptr<const View>> pinned_;  ///< as long as somebody waits
  int64_t next_sync_ns_ = 0;                         ///< when sync_on_servers() is to do it again
  int syncing_ = 0;                                  ///< what it began and isn't over
  int64_t write_back_ns_ = 0;  ///< when that is to be done next; 0: nothing is open for writing
  int64_t give_up_ns_ = 0;     ///< when nobody is waited for any more; 0: tasks are left
  UniqueFd children_;          ///< a signalfd(2) of SIGCHLD, from when somebody may wait
  Observer* observer_ = nullptr;
  bool kill_on_exit_;
  pid_t leader_ = 0;
  int leader_status_ = 0;
  bool leader_gone_ = false;
  bool ending_servers_ = false;
  timer_t notice_{};
  bool waiting_told_ = false;
  int interrupts_ = 0;
};

}  // namespace viewsh
