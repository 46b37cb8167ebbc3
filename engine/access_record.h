#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "viewsh/filesystem.h"

namespace viewsh {

/// What a run did at a path. A bit each.
enum class Access : unsigned {
  kLookedAt = 1,     ///< stat(2), access(2), readlink(2), O_PATH
  kRead = 2,         ///< opened for reading
  kListed = 4,       ///< a directory of which the names were read
  kExecuted = 8,     ///< a program, or the interpreter of one
  kEntered = 16,     ///< chdir(2)
  kWritten = 32,     ///< what was there was opened for writing
  kCreated = 64,     ///< made here, or given this name
  kRemoved = 128,    ///< this name was taken away
  kChanged = 256,    ///< mode, owner, times, attributes
  kConnected = 512,  ///< a socket that was connected or sent to
  kMoved = 1024,     ///< got its name by rename(2) or link(2)
};

/// A path of the view, and what became of it.
struct PathUse {
  unsigned how = 0;  ///< bits of Access
  NodeType type = NodeType::kUnknown;
  bool existed = false;   ///< when the run came there first
  uint32_t count = 0;     ///< of calls
  uint64_t programs = 0;  ///< bits by AccessRecord::programs; the last stands for all others
  bool did(Access access) const { return (how & static_cast<unsigned>(access)) != 0; }
};

/// A peer or a port: "tcp 127.0.0.1:80".
struct Endpoint {
  bool bound = false;  ///< else connected or sent to
  std::string protocol;
  std::string address;
  uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};

/// What a run used of its view. A plain value: the engine fills it, who asked for it reads it.
struct AccessRecord {
  static constexpr size_t kMaxPrograms = 64;
  bool started = false;                            ///< the command was found and executed
  std::unordered_map<std::string, PathUse> paths;  ///< by canonical view path; missing ones as well
  std::map<std::string, std::string> links;  ///< symbolic links that were met: view path, text
  /// Directories between which a name was moved or linked.
  std::set<std::pair<std::string, std::string>> moves;
  std::map<Endpoint, PathUse> endpoints;
  std::vector<std::string> programs;
};

}  // namespace viewsh
