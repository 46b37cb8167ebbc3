#pragma once

#include <string>
#include <vector>

#include "engine.h"
#include "viewsh/layer.h"

namespace viewsh {

/// What a user chose of the changes of a layer.
struct Picked {
  std::vector<Change> yes;
  std::vector<Change> no;
  int signal = 0;  ///< what ended the questions: nothing is to be done
};

/// Asks for each change on the terminal, as `git add -p` does: y, n, a and d for the rest of a
/// directory, q, p to see the patch. The changes are in order of their paths. What is in a new
/// directory that stays isn't asked for: it can't go alone.
UserError pick_changes(const std::vector<Change>& changes, Picked* picked);

}  // namespace viewsh
