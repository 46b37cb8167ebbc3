#pragma once

#include <string>

#include "viewsh/result.h"

namespace viewsh {

/// What a FileSystem is as well that has to hear of closes: one whose files are with somebody else,
/// who waits for what was written, and for the end of a use. The processes that open its files tell
/// of each close(2), dup2(2) and exit(2) from then on.
class CloseListener {
 public:
  virtual ~CloseListener() = default;
  /// A task is about to close a descriptor of the host object `host`: what was written to it is
  /// brought to where it has to be. False: the object is none of the file system's. The error is
  /// close(2)'s.
  virtual Result<bool> closing(const std::string& host) = 0;
  /// It is closed; "": any may have been. What nobody has open any more ends.
  virtual void closed(const std::string& host) = 0;
};

}  // namespace viewsh
