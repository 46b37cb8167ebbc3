#pragma once

#include <array>
#include <cstdint>

#include "syscalls/session.h"
#include "tracee/lookup_table.h"

namespace viewsh {

/// Makes fstat(3) of glibc's programs cost no stop: where a program calls it, its code is changed
/// to ask fstat(2), which needs none. Where the view shows some objects otherwise than the kernel,
/// that goes by code of ours in the process, which stops for inodes that are marked here: a set by
/// the low bits of inode numbers, a copy of it in every such process, that only grows.
class FstatLane final : public AttrMarks {
 public:
  /// `traced`: the view's filter stops fstat(2).
  /// `lookups` hears of all marks, too.
  FstatLane(Session* session, bool traced, SharedLookups* lookups)
      : session_(session), traced_(traced), lookups_(lookups) {}

  /// A task is stopped in newfstatat(2), which it is let run as it is. True: it has to get an arena
  /// first, and will come again.
  bool shorten(Task& task, const Registers& regs);
  void mark(uint64_t ino) override;
  /// How often something was marked.
  uint64_t marked() const { return marked_; }
  /// A forked task has a copy of the marks as they were when `known` had been made, or later.
  void inherit(Task& made, uint64_t known);
  /// A task got a SIGSEGV. True: it was on its way through code of ours that the program has
  /// unmapped, and is back where it left its own, which is as it was.
  static bool recover(Task& task, Registers* regs);
  /// All marks are said again. False: the view can't tell them.
  bool know_marks();
  /// A file system is in the view from now on, whose inodes are marked, too: all there are where it
  /// can't tell them.
  void know(FileSystem& fs);
  /// The place for the code of sites is in use from now on, with the marks that belong there.
  /// False: the task has none, or another one than its code leads to.
  bool open_lane(Task& task);

 private:
  bool lay(Task& task, const CallSite& site);
  bool marks_are_known();

  Session* session_;
  bool traced_;
  SharedLookups* lookups_;
  bool asked_ = false;   ///< the view, for its marks
  bool usable_ = false;  ///< it could tell
  uint64_t marked_ = 0;
  std::array<uint8_t, FstatCode::kMarks / 8> marks_{};
};

}  // namespace viewsh
