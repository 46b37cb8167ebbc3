#pragma once

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

#include "syscalls/call.h"
#include "syscalls/table.h"

namespace viewsh {

/// Counts for --stats and lines for --trace: one for each call that a program made.
class Report {
 public:
  /// A line of --trace: the call, then, after its result, what became of it. Empty: no trace.
  struct Line {
    std::string call;
    std::string outcome;
  };
  Report(bool stats, bool trace, std::FILE* trace_file)
      : stats_(stats), trace_(trace), trace_file_(trace_file) {}
  bool wants_time() const { return stats_; }
  bool tracing() const { return trace_; }
  void count(long nr, Outcome::Kind kind);
  void add_time(long nr, int64_t nanoseconds);
  Line describe(pid_t tid, const Row& row, const Call& call, const Outcome& outcome) const;
  /// The task makes this call; its line is written when the result is known.
  void begin(pid_t tid, Line line);
  /// The task's call has ended; nullopt: without a result (the task was ended, or a signal came and
  /// the call is made again after it). Nothing where there is no call under way.
  void end(pid_t tid, std::optional<long> result);
  /// A line: pid and signal, with what caused it.
  void trace_signal(pid_t tid, int signal, const std::optional<siginfo_t>& info);
  void print_stats() const;

 private:
  struct Count {
    uint64_t count = 0;
    std::array<uint64_t, 4> by_outcome{};
    int64_t nanoseconds = 0;
  };
  bool stats_;
  bool trace_;
  std::FILE* trace_file_;
  std::map<long, Count> counts_;
  std::map<pid_t, Line> under_way_;
};

}  // namespace viewsh
