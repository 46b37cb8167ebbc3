#pragma once

#include <string>

#include "commit_plan.h"

namespace viewsh::viewfs {

/// A shell script that does what a plan says, with the tools of GNU and of attr, copying content
/// out of the layer. It does nothing where what it changes was changed since. It stops at the first
/// error, and isn't taken back then; what was to be replaced is there or has been replaced.
Result<std::string> write_script(const LayerView& view, const CommitPlan& plan);

}  // namespace viewsh::viewfs
