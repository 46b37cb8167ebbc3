#pragma once

#include <string>

#include "layer_view.h"

namespace viewsh::viewfs {

/// Reads what upper/ holds into the index. LayerView::open() does so, but where a commit of the
/// layer is unfinished: then files may be elsewhere until that is finished or taken back. Does
/// nothing the second time. Empty, or what went wrong.
std::string look_into(LayerView* view);

}  // namespace viewsh::viewfs
