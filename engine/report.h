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

/// Counts for --stats and lines for --trace.
class Report {
 public:
  Report(bool stats, bool trace, std::FILE* trace_file)
      : stats_(stats), trace_(trace), trace_file_(trace_file) {}
  bool wants_time() const { return stats_; }
  bool tracing() const { return trace_; }
  void count(long nr, const Outcome& outcome, int64_t nanoseconds);
  /// A line: pid, call, decoded arguments, result, who answered.
  void trace(pid_t tid, const Row& row, Call& call, const Outcome& outcome);
  /// A line: pid and signal, with what caused it.
  void trace_signal(pid_t tid, int signal, const std::optional<siginfo_t>& info);
  void print_stats() const;

 private:
  struct Line {
    uint64_t count = 0;
    std::array<uint64_t, 4> by_outcome{};
    int64_t nanoseconds = 0;
  };
  bool stats_;
  bool trace_;
  std::FILE* trace_file_;
  std::map<long, Line> lines_;
};

}  // namespace viewsh
