#pragma once

#include <string>
#include <vector>

namespace viewsh_model {

/// --workers-of ROOT SCRIPT [ROOT SCRIPT...]: a process for each, at the same time; then what each
/// printed, one after the other, and the trees.
int run_workers(const std::vector<std::string>& args);

}  // namespace viewsh_model
