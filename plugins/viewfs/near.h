#pragma once

#include <map>
#include <string>

#include "viewsh/filesystem.h"
#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh::viewfs {

/// Looks at host paths one after the other. The directory of the last one is kept open, so that
/// what is in the same one costs no walk of the whole path. For as long as nobody renames
/// directories: what is kept open stays the one it was.
class Near {
 public:
  /// lstat(2) of a host path of any length.
  Result<Attr> lstat(const std::string& host);
  /// read_xattrs() of it.
  Result<std::map<std::string, std::string>> xattrs(const std::string& host);

 private:
  /// The open directory, and where in `host` the name begins; -1: none, all of it is the name.
  int enter(const std::string& host, size_t* name);

  std::string dir_;
  UniqueFd fd_;
};

}  // namespace viewsh::viewfs
