#pragma once

#include <vector>

#include "layer_view.h"

namespace viewsh::viewfs {

/// What a view of `b` shows otherwise than one of `a`: two states of one layer over the lower as it
/// is now. Change::lower is the content in `a`, Change::upper that in `b`. A rename shows as a
/// deletion and an addition. Parents before children, names in order.
std::vector<Change> compare_layers(const LayerView& a, const LayerView& b,
                                   const Selection& selection);

}  // namespace viewsh::viewfs
