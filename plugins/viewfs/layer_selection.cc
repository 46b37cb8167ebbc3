#include "layer_selection.h"

#include <fnmatch.h>

#include "layer_path.h"
#include "layer_view.h"

namespace viewsh::viewfs {
namespace {

std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const std::string_view name = next_component(&path);
    if (!name.empty()) out.emplace_back(name);
  }
  return out;
}

bool match_from(const std::vector<std::string>& pattern, size_t p,
                const std::vector<std::string>& path, size_t n) {
  while (p < pattern.size() && pattern[p] != "**") {
    if (n == path.size() || fnmatch(pattern[p].c_str(), path[n].c_str(), 0) != 0) return false;
    ++p, ++n;
  }
  if (p == pattern.size()) return n == path.size();
  for (size_t next = n; next <= path.size(); ++next) {
    if (match_from(pattern, p + 1, path, next)) return true;
  }
  return false;
}

}  // namespace

bool path_matches(const std::string& pattern, const std::string& path) {
  return match_from(components(pattern), 0, components(path), 0);
}

Selection::Selection(const LayerView& view, const std::vector<std::string>& paths,
                     std::string* error)
    : Selection(view, paths, {}, error) {}

Selection::Selection(const LayerView& view, const std::vector<std::string>& paths,
                     const CommitOptions& options, std::string* error)
    : rest_(paths.empty() ? Verdict::kCommit : Verdict::kKeep), force_(options.force) {
  const auto decide = [&](const std::vector<std::string>& texts, Verdict verdict) {
    for (const std::string& text : texts) {
      for (const std::string& path : resolve(view, text, error)) {
        if (path.empty()) {
          rest_ = verdict;
          decisions_.clear();
        } else {
          decisions_[path] = verdict;
        }
      }
    }
  };
  decide(paths, Verdict::kCommit);
  decide(options.skip, Verdict::kKeep);
  decide(options.theirs, Verdict::kDrop);
  for (const std::string& text : options.ours) {
    for (const std::string& path : resolve(view, text, error)) forced_.insert(path);
  }
  std::erase_if(decisions_, [&](const auto& entry) {
    // What says the same as what is above it says nothing.
    return of(std::string(parent_of(entry.first))) == entry.second;
  });
}

std::vector<std::string> Selection::resolve(const LayerView& view, const std::string& text,
                                            std::string* error) {
  std::vector<std::string> out;
  if (text.empty() && error->empty()) *error = "an empty path names nothing";
  if (text.empty()) return out;
  std::string path = text;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  path = real_view_path(view, path);
  const std::string& at = view.layer->at();
  const std::string prefix = at == "/" ? "/" : at + "/";
  const bool pattern = path.find_first_of("*?[") != std::string::npos;
  if (path == at) {
    out.emplace_back();
  } else if (path.rfind(prefix, 0) == 0 &&
             (!pattern || view.index.find(path.substr(prefix.size())) != nullptr)) {
    out.push_back(path.substr(prefix.size()));
  } else if (pattern) {
    view.index.each([&](const Node* node) {
      if (node->parent == nullptr) return;
      std::string name = Index::path_of(node);
      if (path_matches(path, view.view_path(name))) out.push_back(std::move(name));
    });
  } else if (error->empty()) {
    *error = text + ": not in the layer, which is of " + at;
  }
  named_.push_back({text, out});
  return out;
}

Selection::Verdict Selection::of(const std::string& path) const {
  if (decisions_.empty()) return rest_;
  std::string_view above = path;
  while (!above.empty()) {
    const auto it = decisions_.find(std::string(above));
    if (it != decisions_.end()) return it->second;
    above = parent_of(above);
  }
  return rest_;
}

bool Selection::any_below(const std::string& path, const std::function<bool(Verdict)>& test) const {
  const std::string prefix = path.empty() ? path : path + "/";
  for (auto it = decisions_.lower_bound(prefix); it != decisions_.end(); ++it) {
    if (it->first.compare(0, prefix.size(), prefix) != 0) return false;
    if (test(it->second)) return true;
  }
  return false;
}

bool Selection::touches(const std::string& path) const {
  return has(path) || any_below(path, [](Verdict v) { return v == Verdict::kCommit; });
}

bool Selection::keeps_below(const std::string& path) const {
  return any_below(path, [](Verdict v) { return v == Verdict::kKeep; });
}

bool Selection::whole() const { return rest_ != Verdict::kKeep && !keeps_below(""); }

bool Selection::forced(const std::string& path) const {
  if (force_) return true;
  if (forced_.empty()) return false;
  for (std::string_view above = path;; above = parent_of(above)) {
    if (forced_.count(std::string(above)) != 0) return true;
    if (above.empty()) return false;
  }
}

std::string Selection::without_change(const std::vector<NodeChange>& changes) const {
  if (named_.empty()) return {};
  std::set<std::string> changed;
  for (const NodeChange& c : changes) changed.insert(c.path);
  for (const Named& named : named_) {
    bool hit = false;
    for (const std::string& path : named.paths) {
      const auto below = changed.lower_bound(path + "/");
      hit = hit || path.empty() || changed.count(path) != 0 ||
            (below != changed.end() && below->rfind(path + "/", 0) == 0);
    }
    if (!hit) return named.text;
  }
  return {};
}

}  // namespace viewsh::viewfs
