#pragma once

#include <string>
#include <vector>

#include "layer_record.h"

namespace viewsh::viewfs {

/// What can be read of a log, whatever is wrong with the rest.
struct Salvage {
  std::vector<Transaction> history;
  std::vector<std::string> problems;  ///< a line each
  bool clean = false;                 ///< closed in order

  /// `upper_fd`: to tell whether the last change was made.
  static Salvage read(std::string_view log, int upper_fd);
};

}  // namespace viewsh::viewfs
