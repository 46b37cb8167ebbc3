#pragma once

#include <memory>

#include "viewsh/layer.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// The layers below host.state_dir(), for the commands outside a view.
std::unique_ptr<LayerStore> make_layer_store(Host& host);

}  // namespace viewsh
