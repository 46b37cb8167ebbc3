// Part of a layer can't go without what it hangs on.
#include "commit.h"

namespace viewsh::viewfs {

std::string entangled(const LayerView& view, const Selection& selection) {
  std::string out;
  if (selection.all()) return out;
  view.index.each([&](Node* node) {
    if (!out.empty() || !node->present() || !node->meta || node->meta->redirect.empty()) return;
    const std::string path = Index::path_of(node);
    const std::string where = view.view_path(path);
    if (!selection.has(path)) {
      if (selection.touches(path)) {
        out = where + ": is renamed as a whole; name it instead of what is in it";
      } else if (selection.has(node->meta->redirect)) {
        out = where + ": was renamed from what is selected; name it, too";
      }
      return;
    }
    if (!node->is_dir()) return;
    for (const std::string& source : view.sources) {
      if (source.rfind(node->meta->redirect + "/", 0) == 0) {
        out = where + ": something was moved out of it; only the whole layer can go";
      }
    }
  });
  return out;
}

}  // namespace viewsh::viewfs
