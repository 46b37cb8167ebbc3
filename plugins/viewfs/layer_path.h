#pragma once

#include <string>

namespace viewsh::viewfs {

struct LayerView;

/// What a user's path names: the path of the view without symbolic links on the way, as the view
/// shows them. A link that it ends in is followed where the layer says nothing of the link itself.
/// `path` is absolute and without ".."; it may be a pattern, of which the part before the first
/// name with * ? [ is looked at. path_resolution(7).
std::string real_view_path(const LayerView& view, const std::string& path);

}  // namespace viewsh::viewfs
