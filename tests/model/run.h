#pragma once

#include <string>
#include <vector>

namespace viewsh_model {

struct Finished {
  bool timed_out = false;
  int status = 0;  ///< of waitpid(2)
  bool ok() const { return !timed_out && status == 0; }
  std::string text() const;
};

/// Runs a program with standard output and error in files and standard input empty. It is killed
/// after `seconds`.
Finished run_program(const std::vector<std::string>& argv, const std::string& out,
                     const std::string& err, int seconds);

/// The same, without waiting for it.
int start_program(const std::vector<std::string>& argv, const std::string& out,
                  const std::string& err);
Finished wait_program(int pid, int seconds);

std::string own_path();
std::string viewsh_path();

}  // namespace viewsh_model
