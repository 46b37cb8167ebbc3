#pragma once

#include <string>

#include "base/unique_fd.h"

namespace viewsh {

/// A host path in a form that system calls take: the text itself, or, where it is longer than
/// PATH_MAX, a text that begins at a descriptor of ours for a directory on the way. Such a text,
/// "/proc/PID/fd/N/rest", is good in every process of the same user for as long as this object lives.
/// Where the way can't be opened the text stays as it is, and the call says ENAMETOOLONG.
class LongPath {
 public:
  explicit LongPath(std::string path);
  const char* c_str() const { return text_.c_str(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  UniqueFd dir_;
};

}  // namespace viewsh
