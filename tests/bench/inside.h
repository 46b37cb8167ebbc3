#pragma once

#include <optional>
#include <string>

#include "process.h"

namespace bench {

/// The names that --loop knows: getppid pread write stat open spawn; reread mmap of the file large.
bool is_loop(const std::string& name);

/// `bench --loop NAME N`: makes the call N times in this process, with files below the working
/// directory, and prints the time of one call. Returns an exit status.
int run_loop(const std::string& name, long count);

/// `bench --inside DIR OUT REPEAT WORST -- COMMAND...`: runs COMMAND in DIR so many times with its
/// standard output in the file OUT, and prints the time of one run. The clock runs inside of the
/// view: the start of the view itself isn't counted. Returns COMMAND's exit status. `again`
/// (--again): after a run that isn't counted.
int run_inside(const std::string& dir, const std::string& out, int repeat, int worst_status,
               const Argv& command, bool again);

/// `bench --tasks N`: becomes N processes that wait until standard input ends.
int run_tasks(int count);

/// The figure that run_loop() or run_inside() printed, in nanoseconds.
std::optional<double> parse_figure(const std::string& out);

}  // namespace bench
