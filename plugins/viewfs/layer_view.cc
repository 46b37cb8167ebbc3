#include "layer_view.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "commit_record.h"
#include "cow_host.h"
#include "deep_path.h"
#include "layer_look.h"
#include "layer_names.h"
#include "layer_recover.h"

namespace viewsh::viewfs {

std::unique_ptr<LayerView> LayerView::open(const std::string& dir, const std::string& name,
                                           bool write, const std::string& who, std::string* error,
                                           bool recover) {
  auto view = load(dir, name, write, who, error, recover);
  if (!view || recover || !has_nameless_copies(*view)) return view;
  if (write) {
    *error = name_copies(view.get());
    if (error->empty()) return view;
    *error = "layer " + name + ": " + *error;
    return nullptr;
  }
  // A layer in use, or one that can't be written to, shows what it knows.
  view.reset();
  std::string why;
  (void)open(dir, name, true, who, &why);
  return load(dir, name, false, who, error, false);
}

std::unique_ptr<LayerView> LayerView::load(const std::string& dir, const std::string& name,
                                           bool write, const std::string& who, std::string* error,
                                           bool recover) {
  LayerSpec spec;
  spec.dir = dir;
  spec.name = name;
  spec.write = write;
  spec.recover = recover;
  spec.view_id = who;
  MountError failure;
  auto view = std::make_unique<LayerView>();
  view->layer = Layer::open(spec, &failure);
  if (!view->layer) {
    *error = failure.text;
    return nullptr;
  }
  const auto journal = CommitJournal::exists(view->layer->dir_fd());
  if (!journal) {
    *error = "layer " + name + ": its commit journal: " + journal.error().message();
    return nullptr;
  }
  const bool unfinished = recover && *journal;
  const bool interrupted = view->layer->interrupted() && !view->layer->lower().empty();
  if (interrupted && !write && !unfinished) {
    if (!open(dir, name, true, who, error, recover)) return nullptr;
    return open(dir, name, write, who, error, recover);
  }
  for (const Transaction& t : view->layer->take_history()) view->index.apply(t);
  if (std::string why = unfinished ? std::string() : look_into(view.get()); !why.empty()) {
    *error = "layer " + name + ": " + why;
    return nullptr;
  }
  if (const auto& over = view->layer->over(); !over.empty()) {
    const std::string place = dir.substr(0, dir.rfind('/') + 1) + over.back();
    // Without it, it is as over a tree that is not the host's.
    std::string why;
    view->below = load(place, over.back(), false, who, &why, false);
  }
  return view;
}

std::string look_into(LayerView* view) {
  Index& index = view->index;
  const Layer& layer = *view->layer;
  if (index.root()->loaded) return {};
  // What a power cut left is put right first. Over a tree that is not the host's a view has to do
  // it.
  if (layer.interrupted() && !layer.lower().empty()) {
    if (std::string why = view->recover(); !why.empty()) {
      return "it was cut off by a power cut and can't be put in order: " + why;
    }
  }
  index.verify(layer.upper_fd());
  // Loading adds children, which each() then visits too.
  Result<void> loaded;
  index.each([&](Node* node) {
    if (node->is_dir() && loaded) {
      loaded = index.load(node, Index::path_of(node), layer.upper_fd());
    }
    if (node->meta && !node->meta->redirect.empty()) {
      view->sources.emplace(node->meta->redirect, node);
    }
  });
  return loaded ? std::string() : loaded.error().message();
}

std::string LayerView::recover() {
  auto done = recover_interrupted(&index, layer->upper_fd(), [this](const std::string& path) {
    return lstat_at(AT_FDCWD, lower_host(path));
  });
  layer->recovered();
  if (done) done = layer->compact(index.snapshot(), true);
  return done ? std::string() : done.error().message();
}

std::string LayerView::view_path(const std::string& path) const {
  if (path.empty()) return layer->at();
  return (layer->at() == "/" ? "" : layer->at()) + "/" + path;
}

std::string LayerView::layer_path(const std::string& view_path) const {
  const size_t prefix = layer->at() == "/" ? 1 : layer->at().size() + 1;
  return view_path.size() <= prefix ? std::string() : view_path.substr(prefix);
}

std::string LayerView::shown_host(const std::string& path) const {
  const Node* node = index.root();
  std::string lower;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view name = next_component(&rest);
    const Node* child = node->child(name);
    const bool present = child != nullptr && child->present();
    const bool hidden = child != nullptr && child->hidden;
    if (!present && node->merged() && !hidden) return lower_host(join(join(lower, name), rest));
    if (!present || (!rest.empty() && !child->is_dir())) return "/dev/null/" + path;  // nowhere
    lower = join(lower, name);
    if (child->meta && !child->meta->redirect.empty()) lower = child->meta->redirect;
    node = child;
  }
  return node->merged() || node->state == Node::State::kRef ? lower_host(lower) : upper_host(path);
}

std::string LayerView::lower_host(const std::string& lower) const {
  if (below != nullptr) return below->shown_host(lower);
  if (layer->lower().empty()) return "/dev/null/" + lower;  // nowhere
  if (lower.empty()) return layer->lower();
  return (layer->lower() == "/" ? "" : layer->lower()) + "/" + lower;
}

std::string LayerView::upper_host(const std::string& path) const {
  if (!frozen) return join(layer->upper_path(), path);
  const TreeEntry* entry = frozen->find(path);
  if (entry == nullptr || entry->type == NodeType::kDirectory) return {};
  return objects + frozen->object(entry->object);
}

Result<Attr> LayerView::upper_attr(const std::string& path) const {
  if (!frozen) return lstat_deep(layer->upper_fd(), path);
  const TreeEntry* entry = frozen->find(path);
  if (entry == nullptr) return Errno(ENOENT);
  return attr_of(*entry);
}

Result<Xattrs> LayerView::upper_xattrs(const std::string& path) const {
  if (!frozen) return read_xattrs(LongPath(upper_host(path)));
  const TreeEntry* entry = frozen->find(path);
  return entry == nullptr ? Xattrs() : entry->xattrs;
}

bool LayerView::source_below(const std::string& lower) const {
  if (sources.count(lower) != 0) return true;
  const auto it = sources.lower_bound(lower + "/");
  return it != sources.end() && it->first.rfind(lower + "/", 0) == 0;
}

bool LayerView::shown_at_home(const std::string& lower) const {
  const Node* node = index.root();
  std::string at;
  std::string_view home = lower;
  // A directory that was moved shows the place; where that is now doesn't matter.
  for (std::string_view dir = parent_of(lower); !dir.empty(); dir = parent_of(dir)) {
    const auto it = sources.find(std::string(dir));
    if (it == sources.end() || !it->second->merged()) continue;
    node = it->second;
    at = dir;
    home.remove_prefix(dir.size() + 1);
    break;
  }
  while (!home.empty()) {
    if (!node->merged()) return false;
    const std::string_view name = next_component(&home);
    const Node* child = node->child(name);
    at = join(at, name);
    if (child == nullptr || (!child->present() && !child->hidden)) return join(at, home) == lower;
    if (!child->present()) return false;
    const bool stands = child->meta && (child->merged() || child->meta->origin);
    if (!stands) return false;
    if (!child->meta->redirect.empty()) {
      at = child->meta->redirect;
    } else if (child->hidden) {
      return false;
    }
    node = child;
  }
  return at == lower;
}

}  // namespace viewsh::viewfs
