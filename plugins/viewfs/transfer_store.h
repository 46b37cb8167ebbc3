#pragma once

#include <string>

#include "layer_view.h"
#include "viewsh/layer.h"

namespace viewsh::viewfs {

/// LayerStore::export_to() of a layer that is open and locked.
LayerStore::Answer<TransferReport> export_layer(LayerView* view, const std::string& file,
                                                const TransferOptions& options);
/// LayerStore::import_from(): the new layer `name` in the directory `layers`.
LayerStore::Answer<TransferReport> import_layer(const std::string& file, const std::string& layers,
                                                const std::string& name,
                                                const TransferOptions& options);

}  // namespace viewsh::viewfs
