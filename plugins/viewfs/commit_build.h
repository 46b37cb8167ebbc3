#pragma once

#include <functional>
#include <string>

#include "commit_plan.h"

namespace viewsh::viewfs {

/// Told of each step of a commit: what is done, how much of it, out of how much.
using CommitProgress = std::function<void(const char* phase, uint64_t done, uint64_t total)>;

/// Makes all that is new in a plan under its temporary names, copies of what is going to be
/// overwritten, and fills in their inode numbers. Empty, or the error: what was made stays.
std::string prepare_commit(LayerView* view, Tree* lower, CommitPlan* plan,
                           const CommitProgress& progress);

/// Sets owner (as far as a user can), mode and times of a name in a directory. Symbolic links have
/// no mode.
Result<void> set_attributes(int dir_fd, const std::string& name, const Attributes& attributes);
/// The same, of which `now` is known.
Result<void> set_attributes(int dir_fd, const std::string& name, const Attributes& attributes,
                            const Attr& now);

/// Writes everything of the file systems to disk that the record names directories of.
Result<void> sync_commit(Tree* lower, const CommitRecord& record);

}  // namespace viewsh::viewfs
