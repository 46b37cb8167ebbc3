#pragma once

#include <string>
#include <vector>

#include "process.h"

namespace bench {

/// The temporary tree of one run. Everything that is written lies below `top`.
struct Scratch {
  std::string top;
  std::string work;  ///< where workloads run
  std::string view;  ///< empty directory at which the bind view shows `work`
  std::string logs;
  std::string home;
};

/// A way of running a command: natively, in a view, in another tool.
struct Wrapper {
  std::string name;
  Argv prefix;          ///< what the command is put behind
  std::string work;     ///< path of Scratch::work as the command sees it
  std::string missing;  ///< why it can't be used here; empty: it works
  bool usable() const { return missing.empty(); }
};

/// The wrappers named, each tried once with true(1). Unknown names end the program.
std::vector<Wrapper> make_wrappers(const std::vector<std::string>& names, const std::string& viewsh,
                                   const Scratch& scratch);

}  // namespace bench
