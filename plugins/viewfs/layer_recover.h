#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cow_index.h"
#include "viewsh/filesystem.h"

namespace viewsh::viewfs {

/// lstat(2) of a path of the lower.
using LowerLook = std::function<Result<Attr>(const std::string& lower)>;

/// The record that a name in upper/ without one has lost, if it has: in a merged directory the view
/// can't have made a name of the lower's without one. `here`, `below`: what upper/ and the lower
/// have by that name.
std::optional<Meta> lost_record(const Node* node, const Attr& here, const Attr& below);

/// Puts right what a layer of which a power cut took the last lines of the log shows
/// (Layer::interrupted()). Operations whose lines are gone were not done: what the lower has in a
/// directory that was copied up is there, and merged directories whose container is gone have one
/// again, with what was hidden in them. Whose line has to be there first is `Transaction::ahead`.
/// All of upper/ is in the index then. Errors: of reading upper/.
Result<void> recover_interrupted(Index* index, int upper_fd, const LowerLook& lower);

}  // namespace viewsh::viewfs
