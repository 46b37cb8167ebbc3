#pragma once

#include <string>
#include <vector>

#include "cli/text.h"
#include "engine.h"
#include "viewsh/layer.h"

namespace viewsh {

/// A listing of snapshots: name, when, how long ago, size, changes.
std::string snapshots_table(const std::vector<SnapshotInfo>& snapshots);
Json snapshots_json(const std::vector<SnapshotInfo>& snapshots);
/// The error of the store, or for a layer that isn't there a guess at the one that was meant.
UserError layer_error(LayerStore* store, const std::string& layer, const std::string& error);
/// What `viewsh layers --verify` and `--repair` print of a layer. Returns the status to exit with.
int tell_verify(const std::string& layer, const VerifyReport& report);

}  // namespace viewsh
