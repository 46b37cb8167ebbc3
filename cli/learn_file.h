#pragma once

#include <string>

#include "engine.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// The file that is to hold a profile in the end. That it can be made is found out before; it comes
/// to be only when it is written. A file that has something in it is never touched.
class LearnFile {
 public:
  /// Error: it has content, or can't be made.
  UserError open(const std::string& path);
  UserError write(const std::string& text);
  const std::string& path() const { return path_; }

 private:
  std::string path_;  ///< absolute
  UniqueFd fd_;
  bool nameless_ = false;  ///< fd_ has no name yet
};

}  // namespace viewsh
