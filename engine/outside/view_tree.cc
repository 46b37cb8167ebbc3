#include "outside/view_tree.h"

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/path.h"
#include "vfs/view_fs.h"
#include "viewsh/long_path.h"

namespace viewsh {

ViewTree::ViewTree(std::shared_ptr<const View> view, std::shared_ptr<PathCache> cache)
    : view_(std::move(view)), cache_(std::move(cache)) {
  const int count = getgroups(0, nullptr);
  if (count > 0) {
    groups_.resize(static_cast<size_t>(count));
    groups_.resize(static_cast<size_t>(std::max(getgroups(count, groups_.data()), 0)));
  }
  caller_ = {geteuid(), getegid(), groups_, 022};
  const Place top = at("/");
  if (const Result<Attr> attr = top.fs().getattr(top.path)) {
    nodes_.root()->key = key_of(top, *attr);
    (void)shown(*attr);  // the root's device is the first
  }
}

ViewTree::~ViewTree() {
  while (!files_.empty()) close(files_.begin()->first);
}

void ViewTree::begin(mode_t umask) {
  caller_.umask = umask;
  cache_->tick();
}

ViewTree::Place ViewTree::at(std::string view_path) const {
  Location here = view_->locate(view_path);
  return {std::move(here.mount), std::move(here.path), std::move(view_path)};
}

Result<ServedNode*> ViewTree::node_of(ServedId id) {
  ServedNode* node = nodes_.find(id);
  if (node == nullptr) return Errno(ESTALE);
  return node;
}

Result<ViewTree::Place> ViewTree::place_of(const ServedNode& node) const {
  std::optional<std::string> path = NodeTable::path_of(node);
  if (!path) return Errno(ESTALE);
  return at(std::move(*path));
}

Result<ViewTree::Place> ViewTree::place_of(ServedId id) {
  TRY_ASSIGN(const ServedNode* node, node_of(id));
  return place_of(*node);
}

Result<ViewTree::Place> ViewTree::place_in(ServedId parent, const std::string& name) {
  TRY_ASSIGN(const ServedNode* node, node_of(parent));
  std::optional<std::string> path = NodeTable::path_of(*node);
  if (!path) return Errno(ENOENT);  // there is nothing in a removed directory
  return at(join_path(*path, name));
}

Result<ViewTree::Place> ViewTree::new_place(ServedId parent, const std::string& name) {
  TRY_ASSIGN(Place place, place_in(parent, name));
  if (place.path.empty() && place.fs().getattr("").ok()) return Errno(EEXIST);
  return place;
}

/// The node as the file system's own walk finds it: with the host's objects that stand for it.
Result<Found> ViewTree::look(const Place& place) const {
  ResolveFlags flags;
  flags.follow_last = false;
  flags.want_exists = true;
  const std::string_view name = place.path.empty() ? "" : base_name(place.path);
  TRY_ASSIGN(Found found, place.fs().resolve(parent_path(place.path), name, flags, caller_));
  if (found.kind == Found::Kind::kMissing) return Errno(ENOENT);
  return found;
}

NodeKey ViewTree::key_of(const Place& place, const Attr& attr) const {
  return {place.mount->id, attr.stx_dev_major, attr.stx_dev_minor, attr.stx_ino};
}

/// The kernel shows one device: the nodes of the root's keep their numbers, those of others get
/// upper bits of their own. Numbers that reach up there themselves may meet.
uint64_t ViewTree::number(uint32_t major, uint32_t minor, uint64_t inode) {
  constexpr unsigned kShift = 48;
  const uint64_t index = devices_.try_emplace({major, minor}, devices_.size()).first->second;
  return inode ^ (index << kShift);
}

Attr ViewTree::shown(Attr attr) {
  attr.stx_ino = number(attr.stx_dev_major, attr.stx_dev_minor, attr.stx_ino);
  return attr;
}

Result<ServedEntry> ViewTree::entry_of(ServedId parent, const std::string& name,
                                       const Place& place) {
  TRY_ASSIGN(ServedNode * directory, node_of(parent));
  TRY_ASSIGN(const Attr attr, place.fs().getattr(place.path));
  ServedNode* node = nodes_.found(directory, name, key_of(place, attr), attr);
  return ServedEntry{node->id, shown(attr)};
}

Result<ServedEntry> ViewTree::lookup(ServedId parent, const std::string& name) {
  TRY_ASSIGN(const Place place, place_in(parent, name));
  Result<ServedEntry> entry = entry_of(parent, name, place);
  if (!entry && entry.error() == ENOENT) {
    ServedNode* gone = nodes_.remove(nodes_.find(parent), name);
    if (gone != nullptr) nodes_.settle(gone);
  }
  return entry;
}

void ViewTree::forget(ServedId node, uint64_t count) {
  ServedNode* known = nodes_.find(node);
  if (known != nullptr) nodes_.forget(known, count);
}

/// What is open still has its attributes; the rest is what it was.
Result<Attr> ViewTree::nameless_attr(const ServedNode& node) {
  if (!node.files.empty()) {
    Attr attr{};
    if (statx(node.files.back()->fd(), "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &attr) <
        0)
      return Errno::last();
    (void)view_->fix_attr(&attr);
    if (node.last) attr.stx_nlink = node.last->stx_nlink;
    return shown(attr);
  }
  if (node.last) return shown(*node.last);
  return Errno(ESTALE);
}

Result<Attr> ViewTree::getattr(ServedId id) {
  TRY_ASSIGN(const ServedNode* node, node_of(id));
  const Result<Place> place = place_of(*node);
  if (!place) return nameless_attr(*node);
  const Result<Attr> attr = place->fs().getattr(place->path);
  if (attr) return shown(*attr);
  // Removed by somebody else.
  if (attr.error() == ENOENT && !node->files.empty()) return nameless_attr(*node);
  return attr.error();
}

Result<std::string> ViewTree::readlink(ServedId id) {
  TRY_ASSIGN(const Place place, place_of(id));
  if (place.path.empty()) return Errno(EINVAL);
  ResolveFlags flags;
  flags.want_exists = true;
  TRY_ASSIGN(Found found,
             place.fs().resolve(parent_path(place.path), base_name(place.path), flags, caller_));
  if (found.kind == Found::Kind::kMissing) return Errno(ENOENT);
  if (found.kind != Found::Kind::kLink) return Errno(EINVAL);
  return std::move(found.target);
}

Result<std::vector<DirEntry>> ViewTree::list(ServedId id) {
  TRY_ASSIGN(const Place place, place_of(id));
  TRY_ASSIGN(std::vector<DirEntry> entries, place.fs().list(place.path));
  correct_listing(*view_, place.view_path, &entries);
  TRY_ASSIGN(const Attr attr, place.fs().getattr(place.path));
  for (DirEntry& entry : entries)
    entry.ino = number(attr.stx_dev_major, attr.stx_dev_minor, entry.ino);
  return entries;
}

Result<struct statfs> ViewTree::statfs(ServedId id) {
  TRY_ASSIGN(const Place place, place_of(id));
  Result<struct statfs> answer = place.fs().statfs(place.path);
  if (answer || !(answer.error() == ENOSYS)) return answer;
  TRY_ASSIGN(const Found found, look(place));
  struct statfs buffer {};
  TRY(from_libc(::statfs(LongPath(found.host).c_str(), &buffer)));
  return buffer;
}

}  // namespace viewsh
