#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "inputs.h"

namespace bench {

/// A line of the table.
struct Workload {
  std::string name;   ///< for --workloads
  std::string title;  ///< for the table
  long loop = 0;      ///< > 0: a loop of that many calls, named like the workload
  Argv command;       ///< else the command, run in directory `dir` below work
  std::string dir;
  int repeat = 1;
  int worst_status = 0;  ///< of the command: find(1) says 1 of directories that it may not read
  std::string needs;     ///< a program that has to be there
  std::function<void(Inputs&)> prepare;  ///< before each run, untimed
};

std::vector<Workload> all_workloads(const Options& options);

/// Why it can't be run here, or empty.
std::string skip_reason(const Workload& workload, const Options& options);

/// Runs it once in a wrapper: nanoseconds of a call or of a run, or nothing with `error` filled.
std::optional<double> measure(const Workload& workload, const Wrapper& wrapper,
                              const std::string& self, const Scratch& scratch,
                              const Options& options, std::string* error);

}  // namespace bench
