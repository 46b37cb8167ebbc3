// Part of a layer can't go without what it hangs on.
#include "commit.h"

namespace viewsh::viewfs {

std::string torn(const Selection& selection, const std::vector<NodeChange>& changes) {
  for (const NodeChange& c : changes) {
    const std::string dir = Index::path_of(c.node);
    if (!c.implied || !selection.has(dir) || selection.has(c.path)) continue;
    return c.change.path + ": went with the directory that was replaced, and can't stay without it";
  }
  return {};
}

std::string entangled(const LayerView& view, const Selection& selection) {
  std::string out;
  if (selection.all()) return out;
  view.index.each([&](Node* node) {
    if (!out.empty() || !node->present()) return;
    const std::string path = Index::path_of(node);
    const std::string where = view.view_path(path);
    const bool replaced = node->is_dir() && !node->merged() && node->hidden;
    if (replaced && !selection.has(path) && selection.touches(path)) {
      out = where + ": replaced what was there as a whole; name it instead of what is in it";
      return;
    }
    if (!node->meta || node->meta->redirect.empty()) return;
    if (!selection.has(path)) {
      if (selection.touches(path)) {
        out = where + ": is renamed as a whole; name it instead of what is in it";
      } else if (selection.has(node->meta->redirect)) {
        const bool link = view.shown_at_home(node->meta->redirect);
        out = where + (link ? ": is another name of what is selected; name it, too"
                            : ": was renamed from what is selected; name it, too");
      }
      return;
    }
    if (!node->is_dir()) return;
    for (const auto& [source, shown] : view.sources) {
      if (source.rfind(node->meta->redirect + "/", 0) == 0) {
        out = where + ": something was moved out of it; only the whole layer can go";
      }
    }
  });
  return out;
}

}  // namespace viewsh::viewfs
