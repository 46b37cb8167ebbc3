#pragma once

#include <cstdint>
#include <string>

#include "viewsh/result.h"

namespace viewsh {

/// Has e2fsck(8) replay the journal of the image in `fd` at `offset`, and nothing else; waits for
/// it. ENOENT: there is no e2fsck. EIO: it failed; *why is what it said last. Whether the journal
/// is empty now has to be read from the image.
Result<void> ext_replay_journal(int fd, uint64_t offset, std::string* why);

}  // namespace viewsh
