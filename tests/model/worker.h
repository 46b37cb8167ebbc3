#pragma once

#include <sys/stat.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "op.h"

namespace viewsh_model {

/// Runs operations below a root directory with plain system calls and tells what each gave: the
/// result or the errno, and the data that it returned. What a run tells must not depend on where
/// or when it ran: inode numbers and the present time are left out, comparisons of them are not.
///
/// Paths: `@a/b` is absolute, below the root; `=3/a` relative to descriptor 3 of the worker's own
/// ten; anything else relative to the working directory.
class Worker {
 public:
  explicit Worker(std::string root);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The operation's own words and what came of it: one line without its end.
  std::string run(const Op& op);
  /// What the end of a process leaves: nothing is open, the working directory is the root.
  void reset();

  static constexpr size_t kSlots = 10;
  int slot(size_t i) const { return slots_[i]; }
  const std::string& root() const { return root_; }

  /// Verbs and their handlers; worker_path.cc, worker_fd.cc and worker_dir.cc each have some.
  using Handler = std::string (*)(Worker&, const Op&);
  struct Verb {
    std::string_view name;
    Handler run;
  };

  struct Place {
    int dir;
    std::string path;
  };
  Place place(const std::string& text) const;
  /// A descriptor of the worker's; -1 (so that calls say EBADF) where it is closed.
  int fd(const std::string& text) const;
  /// `own`: what is open is known to be no file of the lower, as it was made or opened for writing.
  void set_slot(const std::string& text, int fd, bool own = false);
  bool is_own(const std::string& text) const;
  /// The mode for an object, which the root keeps open, and with MODEL_OPEN_DIRS all directories:
  /// what is below a closed one can only be reached natively then, by those who were there before.
  mode_t mode_for(const std::string& text, const struct stat& object) const;

 private:
  std::string root_;
  std::array<int, kSlots> slots_;
  std::array<bool, kSlots> own_{};
};

// The tables of the three files; each ends with an empty name.
extern const Worker::Verb kPathVerbs[];
extern const Worker::Verb kFdVerbs[];
extern const Worker::Verb kDirVerbs[];

/// limit RESULT VERB ARG...: what a view can't do and says so, by the limits that README.md
/// documents. Natively it isn't done either, and the line is the view's, but only where the limit
/// is the reason: else it is an operation like any other.
std::string run_limited(Worker& w, const Op& op);
/// Errors that a documented limit may be the reason of, for this operation.
bool may_be_limit(const std::string& verb, const std::string& result);

/// "ok", "ok N" or the name of errno, for what a system call returned.
std::string outcome(long result);
/// What stat(2) tells, as far as it is the same in every run. `path`: of the object, for more than
/// st_blocks knows of its content.
std::string describe(const struct stat& st, bool content, const std::string& path);
/// The modification time where it was set by somebody, "new" where it is that of a change.
std::string time_text(const struct stat& st);
long long number(const std::string& text);
/// Bytes that depend on their offset and a seed.
std::string pattern(size_t offset, size_t length, unsigned seed);
std::string digest(std::string_view data);
bool same_object(const struct stat& a, const struct stat& b);

}  // namespace viewsh_model
