#pragma once

#include <string>
#include <vector>

#include "cli/learn_plan.h"
#include "engine.h"

namespace viewsh {

/// What stands above the mounts of a learned profile.
struct LearnedHead {
  std::string name;
  std::vector<std::string> command;
  std::string date;                  ///< "2026-01-31"
  std::vector<std::string> extends;  ///< the profiles of the run, or
  const ViewSpec* view = nullptr;    ///< its view, to be written out; null: it was the host's
};

/// The profile, commented.
std::string learned_yaml(const LearnedHead& head, const LearnedPlan& plan,
                         const AccessRecord& record, const Places& places);

}  // namespace viewsh
