#pragma once

#include <string>
#include <vector>

namespace viewsh {

/// One line of mountinfo. proc_pid_mountinfo(5)
struct HostMount {
  int id = 0;
  int parent = 0;
  std::string device;  ///< "major:minor"
  std::string root;
  std::string at;  ///< unescaped
  std::string options;
  std::string optional;  ///< " shared:1 master:2", with the leading space
  std::string type;
  std::string source;
  std::string super;
};

/// The mounts of the engine's own mount namespace, parents first.
std::vector<HostMount> read_host_mounts();

}  // namespace viewsh
