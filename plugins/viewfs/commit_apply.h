#pragma once

#include <string>
#include <vector>

#include "commit_build.h"
#include "commit_direct.h"
#include "commit_evidence.h"
#include "commit_record.h"
#include "layer.h"

namespace viewsh::viewfs {

/// Does what a record says, and takes it back. Works from the record alone, so that it can go on
/// where a killed process stopped. Every call returns an empty text or why it stopped.
class CommitRun {
 public:
  CommitRun(const CommitRecord& record, Tree* lower, const Layer& layer,
            const CommitProgress& progress)
      : r_(record),
        lower_(*lower),
        upper_(layer.upper_fd()),
        direct_(record, lower->root(), layer.upper_fd(), layer.dir_fd(), layer.at()),
        at_(layer.at()),
        lower_path_(layer.lower()),
        evidence_(record, lower, &upper_, layer.at()),
        progress_(progress) {}

  /// Makes directories writable that are not, and the layer ready for what is replaced.
  std::string prepare();
  /// The first of both. `again`: of a commit that was cut short, where directories may have moved;
  /// those were made writable before.
  std::string loosen(bool again = false);
  /// How many of the renames were made.
  std::string renamed(size_t* done);
  /// Empty, or that an undo was begun, which is to be ended.
  std::string half_undone(size_t done);
  /// Makes the changes. What is to be written to must be as it was found.
  std::string apply();
  /// Goes on with the changes, the first `done` renames being made already.
  std::string resume(size_t done);
  /// Takes back the changes, of which `done` renames were made.
  std::string undo(size_t done);
  /// Takes back what was prepared; only after undo(), or when nothing was applied.
  std::string undo_preparation();
  /// Removes what was replaced and sets the attributes of directories.
  std::string finish();
  /// The last of both.
  std::string finish_directories();

  /// Of a commit whose record isn't whole: takes back what can be seen to be made, on and on after
  /// errors. A line each for what is left, also for names of the commit in the lower.
  std::vector<std::string> salvage();

  size_t done() const { return done_; }
  /// It stopped since the layer is on another mount than the lower: DirectChanges::elsewhere().
  bool elsewhere() const { return direct_.elsewhere(); }

 private:
  std::string fail(const std::string& path, Errno why) const;
  std::string fail_shown(const std::string& show, Errno why) const;
  std::string fail_kept(const std::string& show, const std::string& kept, const char* how) const;
  std::string content(const InPlace& in, Evidence::Content* is);
  std::string check(const InPlace& in);
  std::string undo_rename(const Rename& r);
  std::string only_new();
  std::string step(const Rename& r);
  std::string rename_from(size_t done);
  std::string change(const InPlace& in, bool first);
  std::string restore(const InPlace& in);
  std::string rewrite(const InPlace& in, const Dir& from, const std::string& name);
  static Result<void> set_xattrs(const Dir& dir, const std::string& name,
                                 const InPlace::Xattrs& want);
  std::string lock_upper();
  std::string restore_directories();
  std::string remove_known(const Temp& temp);
  void names_left(std::vector<std::string>* left);
  std::string remove_trash();
  void tell(const char* phase, uint64_t done, uint64_t total) const {
    if (progress_) progress_(phase, done, total);
  }

  const CommitRecord& r_;
  Tree& lower_;
  Tree upper_;
  DirectChanges direct_;
  std::string at_, lower_path_;
  Evidence evidence_;
  const CommitProgress& progress_;
  size_t done_ = 0;
  size_t begun_ = SIZE_MAX;  ///< of in_place; what wasn't begun isn't restored
};

}  // namespace viewsh::viewfs
