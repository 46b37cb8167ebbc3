#pragma once

#include <string>
#include <vector>

#include "access_record.h"
#include "cli/draft.h"
#include "cli/learn_file.h"

namespace viewsh {

/// A run of which a profile is to be written.
class Learning {
 public:
  /// Before the run. Error: FILE can't be written, or has something in it.
  UserError open(const std::string& file) { return file_.open(file); }
  AccessRecord* record() { return &record_; }
  /// After the run: writes the profile and says so. `profiles`: all that the view was made of, or
  /// empty. Nothing is written where the command didn't start.
  UserError finish(const std::vector<std::string>& command, const ViewSpec& spec,
                   const std::vector<std::string>& profiles);

 private:
  LearnFile file_;
  AccessRecord record_;
};

}  // namespace viewsh
