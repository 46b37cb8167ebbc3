#include <fcntl.h>

#include <utility>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {

namespace {
constexpr size_t kNameMax = 255;
}

std::string CowFs::upper_host(std::string_view path) const {
  return join(layer_->upper_path(), path);
}

Result<void> CowFs::load(Node* dir, std::string_view path) {
  if (dir->loaded) return {};
  return index_.load(dir, std::string(path), layer_->upper_fd());
}

Result<CowFs::Place> CowFs::find_place(std::string_view path) {
  Place place;
  place.path = path;
  place.what = Place::What::kUpper;
  place.type = NodeType::kDirectory;
  place.node = index_.root();
  place.has_lower = true;
  std::string_view rest = path;
  while (!rest.empty()) {
    Node* dir = place.node;
    if (!dir->is_dir()) return Errno(ENOTDIR);
    check_lower(dir);
    TRY(load(dir, path.substr(0, path.size() - rest.size())));
    const std::string_view name = next_component(&rest);
    place.position_has_lower = dir->merged();
    place.position_lower = dir->merged() ? join(place.lower, name) : std::string();
    Node* node = dir->child(name);
    const bool present = node != nullptr && node->present();
    if (!present && dir->merged() && !(node != nullptr && node->hidden)) {
      place.what = Place::What::kLower;
      place.type = NodeType::kUnknown;
      place.lower = join(place.position_lower, rest);
      place.position_lower = place.lower;
      place.node = rest.empty() ? node : nullptr;
      return place;
    }
    place.node = node;
    if (!present) {
      if (!rest.empty()) return Errno(ENOENT);
      place.what = Place::What::kAbsent;
      place.type = NodeType::kUnknown;
      place.has_lower = false;
      return place;
    }
    place.has_lower = place.position_has_lower;
    place.lower = place.position_lower;
    if (node->meta && !node->meta->redirect.empty()) {
      place.lower = node->meta->redirect;
      place.has_lower = true;
    }
  }
  check_lower(place.node);
  place.type = place.node->type;
  place.what = place.node->state == Node::State::kRef ? Place::What::kRef : Place::What::kUpper;
  return place;
}

/// As find_place(), which reads directories of the layer: a name that it hides is the lower's here,
/// where that is one more call that waits for its turn.
bool CowFs::waits(std::string_view path, bool below) const {
  if (below && !redirects_.empty() && lower_->waits("", true)) return true;
  const Node* node = index_.root();
  std::string lower;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::string_view name = next_component(&rest);
    node = node == nullptr ? nullptr : node->child(name);
    if (node != nullptr && node->meta && !node->meta->redirect.empty()) {
      lower = node->meta->redirect;
    } else {
      lower = join(lower, name);
    }
  }
  return lower_->waits(lower, below);
}

bool CowFs::waits_for(const Attr& object) const {
  const auto waits_at = [this](const Node* node) { return waits(Index::path_of(node), false); };
  if (dev_of(object) == upper_dev_) {
    const auto it = by_upper_ino_.find(object.stx_ino);
    if (it != by_upper_ino_.end()) return waits_at(it->second);
  }
  if (lower_->waits_for(object)) return true;
  const InodeKey key{dev_of(object), object.stx_ino};
  if (const auto it = by_lower_dir_.find(key); it != by_lower_dir_.end())
    return waits_at(it->second);
  const auto it = by_lower_file_.find(key);
  return it != by_lower_file_.end() && waits_at(it->second);
}

Result<CowFs::Place> CowFs::look(std::string_view path) {
  TRY_ASSIGN(Place place, find_place(path));
  if (place.what == Place::What::kRef && !index_.linked().empty()) {
    TRY_ASSIGN(const Attr lower, lower_->getattr(place.lower));
    TRY_ASSIGN(const bool changed, materialise(place.path, lower));
    if (changed) return find_place(path);
    place.copied = copied_link(lower);
  }
  if (place.what != Place::What::kLower) return place;
  auto attr = lower_->getattr(place.lower);
  if (!attr) {
    if (attr.error() != Errno(ENOENT)) return attr.error();
    // Its directory has to be there for the name to be absent in it.
    const std::string_view dir = parent_of(path);
    if (!dir.empty() && index_.find(dir) == nullptr) {
      TRY_ASSIGN(const Attr above, lower_->getattr(std::string(parent_of(place.lower))));
      if (!S_ISDIR(above.stx_mode)) return Errno(ENOTDIR);
    }
    place.what = Place::What::kAbsent;
    place.has_lower = false;
    return place;
  }
  TRY_ASSIGN(const bool changed, materialise(place.path, *attr));
  if (changed) return find_place(path);
  place.copied = copied_link(*attr);
  place.attr = *attr;
  place.type = type_of_mode(attr->stx_mode);
  return place;
}

Result<CowFs::Place> CowFs::look_existing(std::string_view path) {
  TRY_ASSIGN(Place place, look(path));
  if (!place.exists()) return Errno(ENOENT);
  return place;
}

Result<Found> CowFs::found_in_lower(const std::string& lower) {
  static const Caller kSelf{};
  TRY_ASSIGN(Found found, lower_->resolve("", lower, {.follow_last = false}, kSelf));
  if (found.kind != Found::Kind::kNode) return Errno(ENOENT);
  return found;
}

Result<std::string> CowFs::host_of_lower(const std::string& lower) {
  TRY_ASSIGN(Found found, found_in_lower(lower));
  return std::move(found.host);
}

Result<std::string> CowFs::content_of_lower(const std::string& lower, int flags) {
  static const Caller kSelf{};
  TRY_ASSIGN(Found found, found_in_lower(lower));
  // A device node that only the lower's attributes tell of is the lower's to open, or to refuse.
  const bool device = found.type == NodeType::kChar || found.type == NodeType::kBlock;
  if (!found.deferred && !(device && found.attr_virtual)) return std::move(found.host);
  TRY_ASSIGN(OpenPlan plan, lower_->plan_open(lower, {.flags = flags}, kSelf));
  // Who opens it from there doesn't tell.
  if (plan.notify) lower_->opened(lower, plan, true);
  return std::move(plan.host);
}

Result<std::string> CowFs::meta_host_of_lower(const std::string& lower) {
  TRY_ASSIGN(Found found, found_in_lower(lower));
  return std::move(found.meta_host.empty() ? found.host : found.meta_host);
}

Result<std::string> CowFs::lower_host(Node* node, const std::string& lower) {
  if (node->lower_host.empty()) {
    TRY_ASSIGN(Found found, found_in_lower(lower));
    node->lower_host = std::move(found.host);
    node->lower_virtual = found.list_virtual;
  }
  return node->lower_host;
}

Result<std::string> CowFs::link_target(Node* node, const std::string& path,
                                       const std::string& lower) {
  if (node->target.empty()) {
    if (node->state == Node::State::kUpper) {
      TRY_ASSIGN(node->target, read_link(layer_->upper_fd(), path));
    } else {
      TRY_ASSIGN(const std::string host, host_of_lower(lower));
      TRY_ASSIGN(node->target, read_link(AT_FDCWD, host));
    }
  }
  return node->target;
}

Result<Found> CowFs::found_node(Node* node, const std::string& path, const std::string& lower) {
  Found found;
  found.type = node->type;
  found.exists = true;
  found.attr_virtual = node->meta != nullptr;
  if (node->state == Node::State::kRef) {
    if (!index_.linked().empty()) {
      TRY_ASSIGN(const Attr attr, lower_->getattr(lower));
      TRY_ASSIGN(const bool changed, materialise(path, attr));
      if (changed) return found_node(node, path, lower);
      if (const Linked* copied = copied_link(attr)) {
        found.host = link_host_path(*copied);
        return found;
      }
    }
    TRY_ASSIGN(const Found below, found_in_lower(lower));
    found.host = below.host;
    found.deferred = below.deferred;
    found.meta_host = below.meta_host;
    // The lower may be a layer, whose copies have other attributes than it shows.
    const bool recorded = node->meta->mode || node->meta->uid;
    found.attr_virtual = recorded || below.attr_virtual || !index_.linked().empty();
    return found;
  }
  found.host = upper_host(path);
  if (!node->is_dir()) {
    found.attr_virtual = found.attr_virtual || snapshotted(node, path);
    const bool shown_as_is = !node->meta || !(node->meta->mode || node->meta->uid);
    found.in_place = shown_as_is && !frozen();
    return found;
  }
  TRY(load(node, path));
  check_lower(node);
  found.list_virtual = node->special;
  if (node->merged()) {
    auto host = lower_host(node, lower);
    if (!host && is_absence(host.error())) lower_went(node);
    if (!node->merged()) return found;
    TRY_ASSIGN(std::string below, std::move(host));
    found.meta_host = std::exchange(found.host, std::move(below));
    found.list_virtual =
        node->lower_virtual || (node->children != nullptr && !node->children->empty());
  }
  return found;
}

/// The same from a directory that has another mode here: the lower's own doesn't count.
Result<Found> CowFs::resolve_below(const std::string& lower, size_t used, std::string_view rest,
                                   ResolveFlags flags, const Caller& caller,
                                   const std::string& path) {
  const Caller self = caller.as_root();
  std::string_view after = rest;
  const std::string_view name = next_component(&after);
  if (after.empty()) return resolve_lower(lower, used, rest, flags, self, path);
  const ResolveFlags how{.follow_last = true, .want_exists = true};
  TRY_ASSIGN(Found first, lower_->resolve(lower, name, how, self));
  if (first.kind == Found::Kind::kMissing) return Errno(ENOENT);
  if (first.kind == Found::Kind::kLink) {
    first.consumed += used;
    return first;
  }
  if (first.type != NodeType::kDirectory) return Errno(ENOTDIR);
  return resolve_lower(join(lower, name), used + rest.size() - after.size(), after, flags, caller,
                       path);
}

Result<Found> CowFs::resolve_lower(const std::string& lower, size_t used, std::string_view rest,
                                   ResolveFlags flags, const Caller& caller,
                                   const std::string& path) {
  TRY_ASSIGN(Found found, lower_->resolve(lower, rest, flags, caller));
  found.consumed += used;
  // The lower's own node under its own name: calls on what is open go there first.
  const bool node = found.kind == Found::Kind::kNode;
  found.in_place = minimal_ && found.in_place && node && join(lower, rest) == path;
  if (found.kind == Found::Kind::kMissing) {
    found.host = upper_host(path);
  } else if (found.kind == Found::Kind::kNode && !index_.linked().empty() &&
             found.type != NodeType::kDirectory) {
    const auto attr = lower_->getattr(join(lower, rest));
    if (attr && index_.linked().count({dev_of(*attr), attr->stx_ino}) != 0) {
      TRY_ASSIGN(const bool changed, materialise(path, *attr));
      if (changed) {
        TRY_ASSIGN(const Place place, find_place(path));
        TRY_ASSIGN(found, found_node(place.node, path, place.lower));
        found.consumed = used + rest.size();
        return found;
      }
      found.attr_virtual = true;
      found.in_place = false;
      if (const Linked* copied = copied_link(*attr)) {
        found.host = link_host_path(*copied);
        found.deferred = false;
      }
    }
  }
  return found;
}

Result<Found> CowFs::resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                             const Caller& caller) {
  TRY_ASSIGN(Place place, find_place(base));
  if (place.what == Place::What::kLower) {
    return resolve_lower(place.lower, 0, rest, flags, caller, join(base, rest));
  }
  if (place.what == Place::What::kAbsent) return Errno(ENOENT);
  Node* node = place.node;
  std::string path = base;
  std::string lower = std::move(place.lower);
  std::string_view left = rest;
  while (!left.empty()) {
    if (!node->is_dir()) return Errno(ENOTDIR);
    check_lower(node);
    TRY(load(node, path));
    TRY(may_search(node, caller));
    std::string_view after = left;
    const std::string_view name = next_component(&after);
    Node* next = node->child(name);
    const bool present = next != nullptr && next->present();
    const size_t used = rest.size() - left.size();
    if (!present && node->merged() && !(next != nullptr && next->hidden)) {
      const bool other_mode = node->meta->mode.has_value();
      return other_mode ? resolve_below(lower, used, left, flags, caller, join(path, left))
                        : resolve_lower(lower, used, left, flags, caller, join(path, left));
    }
    path = join(path, name);
    if (!present) {
      if (name.size() > kNameMax) return Errno(ENAMETOOLONG);
      if (!after.empty()) return Errno(ENOENT);
      Found found;
      found.kind = Found::Kind::kMissing;
      found.consumed = rest.size();
      found.host = upper_host(path);
      return found;
    }
    if (next->meta && !next->meta->redirect.empty()) {
      lower = next->meta->redirect;
    } else if (node->merged()) {
      lower = join(lower, name);
    }
    node = next;
    left = after;
    if (node->type == NodeType::kSymlink && (!left.empty() || flags.follow_last)) {
      Found found;
      found.kind = Found::Kind::kLink;
      found.type = NodeType::kSymlink;
      found.exists = true;
      found.consumed = used + name.size();
      TRY_ASSIGN(found.target, link_target(node, path, lower));
      return found;
    }
  }
  TRY_ASSIGN(Found found, found_node(node, path, lower));
  found.consumed = rest.size();
  return found;
}

const Linked* CowFs::copied_link(const Attr& attr) const {
  const bool copied = S_ISREG(attr.stx_mode) || S_ISLNK(attr.stx_mode);
  if (!frozen() || attr.stx_nlink < 2 || !copied) return nullptr;
  const auto it = index_.linked().find({dev_of(attr), attr.stx_ino});
  return it == index_.linked().end() || !it->second.anchor ? nullptr : &it->second;
}

std::string CowFs::link_host_path(const Linked& linked) const {
  return layer_->dir() + "/links/" + link_name(linked.state);
}

bool CowFs::snapshotted(Node* node, const std::string& path) {
  if (snapshots_.none()) return false;
  if (node->snapshotted < 0) {
    const auto attr = lstat_at(layer_->upper_fd(), path);
    const bool many = attr && attr->stx_nlink > 1;
    node->snapshotted = many && snapshots_.count(attr->stx_ino) > 0 ? 1 : 0;
  }
  return node->snapshotted == 1;
}

bool CowFs::origin_is(const Node* node, const std::string& lower) const {
  return node->meta && node->meta->origin && Index::lower_path_of(node) == lower;
}

std::optional<std::string> CowFs::view_of_lower(const std::string& lower) {
  std::string candidate = lower;
  for (std::string_view prefix = lower; !redirects_.empty();) {
    const auto it = redirects_.find(std::string(prefix));
    if (it != redirects_.end()) {
      std::string_view suffix = std::string_view(lower).substr(prefix.size());
      if (!suffix.empty()) suffix.remove_prefix(1);
      candidate = join(Index::path_of(it->second), suffix);
      break;
    }
    if (prefix.empty()) break;
    prefix = parent_of(prefix);
  }
  const auto place = find_place(candidate);
  if (!place || !place->exists() || !place->has_lower || place->lower != lower) return {};
  const bool shows =
      place->what != Place::What::kUpper || place->node->merged() || origin_is(place->node, lower);
  if (!shows) return {};
  return candidate;
}

std::optional<std::string> CowFs::own_path(const std::string& host, const struct stat& object) {
  const std::string upper = layer_->upper_path() + "/";
  // The content of what a snapshot has, too, is not the view's to write to as it is.
  if (host.rfind(upper, 0) == 0 && !frozen() && snapshots_.count(object.st_ino) == 0) {
    return host.substr(upper.size());
  }
  return minimal_ ? lower_->reverse(host) : std::nullopt;
}

std::optional<std::string> CowFs::shown_at(const Attr& object) {
  const auto upper = by_upper_ino_.find(object.stx_ino);
  if (dev_of(object) == upper_dev_ && upper != by_upper_ino_.end()) {
    return Index::path_of(upper->second);
  }
  Attr shown = object;
  (void)lower_->fix_attr(&shown);  // what the lower shows of its own object is what is known here
  const auto lower = by_lower_file_.find({dev_of(shown), shown.stx_ino});
  if (lower == by_lower_file_.end()) return {};
  return Index::path_of(lower->second);
}

std::optional<std::string> CowFs::reverse(const std::string& host) {
  const std::string& upper = layer_->upper_path();
  if (host.rfind(upper, 0) == 0 && (host.size() == upper.size() || host[upper.size()] == '/')) {
    return host.size() == upper.size() ? std::string() : host.substr(upper.size() + 1);
  }
  if (host.rfind(layer_->dir() + "/", 0) == 0) return {};
  const auto lower = lower_->reverse(host);
  if (!lower) return {};
  return view_of_lower(*lower);
}

}  // namespace viewsh::viewfs
