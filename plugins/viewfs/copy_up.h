#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "cow_host.h"
#include "deep_path.h"
#include "layer_record.h"

namespace viewsh::viewfs {

/// The name in links/ of the copy of a lower inode.
std::string link_name(const LowerState& state);
/// Takes the owner and mode over into the records, where the copy could not get them.
void keep_attr(const Attr& attr, const CopiedAttr& copied, Meta* meta);

/// The directory `temp`, as upper/ has one where a directory of the lower is merged: with the
/// extended attributes `xattrs` and as much of `from` as the user can give it. What else the layer
/// has to record of it. Nothing is left where that fails.
Result<Meta> make_container_in(int dir_fd, const std::string& temp, const Attr& from,
                               const Xattrs& xattrs);

/// Keeps the times of a directory in upper/ over a change that the view doesn't see.
class KeepTimes {
 public:
  KeepTimes(int upper_fd, std::string_view dir);
  ~KeepTimes();
  KeepTimes(const KeepTimes&) = delete;
  KeepTimes& operator=(const KeepTimes&) = delete;

 private:
  PathAt dir_;
  bool known_ = false;
  timespec times_[2] = {};
};

}  // namespace viewsh::viewfs
