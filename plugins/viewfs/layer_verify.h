#pragma once

#include "layer_snapshot.h"

namespace viewsh::viewfs {

/// Looks at a layer without believing it. What `repair` does is told, and the log is copied first.
LayerStore::Answer<VerifyReport> verify_layer(const LayerPlace& place, bool repair);

}  // namespace viewsh::viewfs
