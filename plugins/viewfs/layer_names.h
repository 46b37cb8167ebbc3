#pragma once

#include <string>

#include "layer_view.h"

namespace viewsh::viewfs {

/// There are copies of lower files of several names of which the layer names none: each name that
/// was copied has been removed, and the others, which show the copy, too, were never looked at. Not
/// told of layers that stand on others.
bool has_nameless_copies(const LayerView& view);
/// Looks for such names where the view shows the lower, and writes them into the layer, as the view
/// would when they are first looked at. `view` is open for writing, and its lower is the host's.
/// Empty, or what went wrong.
std::string name_copies(LayerView* view);

}  // namespace viewsh::viewfs
