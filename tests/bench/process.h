#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

using Argv = std::vector<std::string>;

/// CLOCK_MONOTONIC in nanoseconds.
int64_t now_ns();

/// Prints `bench: text` and exits with 1.
[[noreturn]] void die(const std::string& text);

/// What a child did.
struct Finished {
  int status = -1;         ///< exit status, 128+N after signal N, -1 if it could not be started
  bool timed_out = false;  ///< it was killed at the time limit
  std::string out;         ///< its standard output
  std::string err;         ///< its standard error
  bool ok() const { return status == 0 && !timed_out; }
  /// One line that says why it failed.
  std::string why() const;
};

/// Runs a command in `cwd` with standard input from /dev/null and waits for it. It is killed, with
/// its process group, after `limit_s` seconds. `logs` is a directory for its two outputs.
Finished run(const Argv& argv, const std::string& cwd, const std::string& logs, int limit_s);

/// Like run(), for the preparation of inputs: ends the program if the command fails.
void must_run(const Argv& argv, const std::string& cwd, const std::string& logs);

/// The whole of a file; empty if it can't be read.
std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& content);

/// The path of a program in PATH, or empty.
std::string find_program(const std::string& name);

/// Set by SIGINT and SIGTERM: stop soon, and clean up.
bool interrupted();
void watch_interrupts();

}  // namespace bench
