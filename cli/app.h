#pragma once

#include <string>
#include <vector>

namespace viewsh {

/// The status to exit with where viewsh could not do what was asked.
inline constexpr int kFailure = 125;

/// The whole program: `words` is argv without the program's name. Returns the status to exit with.
int run_program(const std::vector<std::string>& words);

}  // namespace viewsh
