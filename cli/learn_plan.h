#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "access_record.h"
#include "cli/learn_places.h"

namespace viewsh {

/// A mount of a learned profile.
struct LearnedMount {
  enum class Kind { kEmpty, kLink, kReadOnly, kWritable };
  Kind kind = Kind::kReadOnly;
  std::string at;
  std::string target;  ///< of a link
  std::string mode;    ///< of an empty directory
  PathUse use;         ///< of all that it stands for
  size_t files = 0;    ///< that it stands for, where it is a whole directory
  std::string remark;
};

/// The smallest view under which a run works again.
struct LearnedPlan {
  std::vector<LearnedMount> mounts;  ///< sorted: what leads to a place comes before it
  std::vector<std::string> notes;    ///< what can't be had in such a view
  std::vector<std::string> missing;  ///< looked for where a user would put it, and not there
};

/// Which of these paths are there when the view is made the next time? In the order of the paths.
using AskExists = std::function<std::vector<bool>(const std::vector<std::string>& paths)>;

/// `apart`: places that the view has by other means (devices), not to be bound.
LearnedPlan plan_learned(const AccessRecord& record, const Places& places,
                         const std::set<std::string>& apart, const AskExists& ask);

}  // namespace viewsh
