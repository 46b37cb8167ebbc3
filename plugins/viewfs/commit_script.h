#pragma once

#include <string>

#include "commit_plan.h"

namespace viewsh::viewfs {

/// A POSIX shell script that does what a plan says, copying content out of the layer. It stops at
/// the first error, and isn't taken back then.
std::string write_script(const LayerView& view, const CommitPlan& plan);

}  // namespace viewsh::viewfs
