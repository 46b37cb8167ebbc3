#pragma once

#include <string>

#include "layer_leaving.h"
#include "layer_snapshot.h"

namespace viewsh::viewfs {

/// The layer becomes what the snapshot `name` says. What it was is kept as another snapshot first.
LayerStore::Answer<RestoreReport> restore_snapshot(const LayerPlace& place,
                                                   const std::string& name);
/// The layer changes nothing any more; its snapshots stay. Empty, or the error.
std::string empty_layer(LayerView* view, const std::string& layer);

/// Names leave upper/ and links/, and the log says `state`: both or neither, whatever happens.
/// ENOSPC, EIO...: neither, or the error came after it was decided and the next open goes on.
Result<void> drop_from_layer(Layer* layer, const Leaving& leaving, const Transaction& state);

/// Ends a restore or such a drop that was cut short after it was decided. False: `error` says why
/// it can't.
bool finish_restore(const std::string& dir, const std::string& name, MountError* error);

}  // namespace viewsh::viewfs
