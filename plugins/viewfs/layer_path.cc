#include "layer_path.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <deque>
#include <optional>

#include "cow_host.h"
#include "layer_view.h"

namespace viewsh::viewfs {
namespace {

constexpr int kMostLinks = 40;

class Way {
 public:
  explicit Way(const LayerView& view)
      : view_(view), at_(view.layer->at() == "/" ? std::string() : view.layer->at()) {}

  std::string go(const std::string& path, bool last) {
    std::string done;
    std::deque<std::string> rest;
    push_front(path, &rest);
    int links = 0;
    while (!rest.empty()) {
      const std::string name = std::move(rest.front());
      rest.pop_front();
      if (name == "..") {
        done.resize(parent_of(done).size());
        continue;
      }
      std::string next = done + "/" + name;
      const auto target = rest.empty() && !last ? std::nullopt : link_at(next);
      if (!target) {
        done = std::move(next);
        continue;
      }
      if (++links > kMostLinks) return path;
      if (target->starts_with('/')) done.clear();
      push_front(*target, &rest);
    }
    return done.empty() ? "/" : done;
  }

  /// Below the mount point: the path that the layer has, else nothing.
  std::optional<std::string> below(const std::string& path) const {
    if (path == view_.layer->at()) return std::string();
    if (!path.starts_with(at_ + "/")) return {};
    return path.substr(at_.size() + 1);
  }

 private:
  static void push_front(std::string_view path, std::deque<std::string>* rest) {
    size_t count = 0;
    while (!path.empty()) {
      const std::string_view name = next_component(&path);
      if (name.empty() || name == ".") continue;
      rest->emplace(rest->begin() + static_cast<std::ptrdiff_t>(count++), name);
    }
  }

  /// The text of a symbolic link. Nothing: it is none, or isn't there.
  std::optional<std::string> link_at(const std::string& path) const {
    const auto inside = below(path);
    const std::string host = inside ? view_.shown_host(*inside) : path;
    const auto attr = lstat_at(AT_FDCWD, host);
    if (!attr || !S_ISLNK(attr->stx_mode)) return {};
    auto text = read_link(AT_FDCWD, host);
    return text ? std::optional<std::string>(std::move(*text)) : std::nullopt;
  }

  const LayerView& view_;
  std::string at_;
};

}  // namespace

std::string real_view_path(const LayerView& view, const std::string& path) {
  Way way(view);
  const auto known = [&](const std::string& name) {
    const auto inside = way.below(name);
    return inside && view.index.find(*inside) != nullptr;
  };
  if (known(path)) return path;
  const size_t wild = path.find_first_of("*?[");
  if (wild != std::string::npos) {
    const size_t slash = path.rfind('/', wild);
    const std::string dir = way.go(path.substr(0, slash), true);
    return (dir == "/" ? "" : dir) + path.substr(slash);
  }
  std::string real = way.go(path, false);
  return known(real) ? real : way.go(real, true);
}

}  // namespace viewsh::viewfs
