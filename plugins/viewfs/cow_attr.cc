#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

void set_identity(Attr* attr, uint64_t dev, uint64_t ino) {
  attr->stx_dev_major = static_cast<uint32_t>(dev >> 32);
  attr->stx_dev_minor = static_cast<uint32_t>(dev);
  attr->stx_ino = ino;
}

void override_attr(const Meta& meta, Attr* attr) {
  if (meta.mode) {
    attr->stx_mode = static_cast<uint16_t>((attr->stx_mode & S_IFMT) | (*meta.mode & 07777));
  }
  if (meta.uid) attr->stx_uid = *meta.uid;
  if (meta.gid) attr->stx_gid = *meta.gid;
}

/// The lower has a directory at the position of this node.
bool covers_lower_dir(const Node& node) {
  if (node.hidden) return node.hidden_state && S_ISDIR(node.hidden_state->mode);
  return node.merged() && node.meta->redirect.empty();
}

/// Nodes by a number that several of them may have.
template <typename Map, typename Key>
bool remove_one(Map* map, const Key& key, const Node* node) {
  const auto [begin, end] = map->equal_range(key);
  for (auto it = begin; it != end; ++it) {
    if (it->second != node) continue;
    map->erase(it);
    return true;
  }
  return false;
}
template <typename Map, typename Key>
void add_once(Map* map, const Key& key, Node* node) {
  remove_one(map, key, node);
  map->emplace(key, node);
}

}  // namespace

const Attr* CowFs::lower_attr(Node* node) {
  if (!node->lower_attr) {
    const auto attr = lower_->getattr(Index::lower_path_of(node));
    if (!attr) return nullptr;
    node->lower_attr = std::make_unique<Attr>(*attr);
  }
  return node->lower_attr.get();
}

void CowFs::lower_went(Node* node) {
  node->lower_gone = true;
  node->links_changed();
  // Its inode's number may be that of something else by now.
  if (node->meta && node->meta->origin)
    remove_one(&by_lower_dir_, InodeKey{node->meta->origin->dev, node->meta->origin->ino}, node);
  if (index_.on_directory) index_.on_directory();
}

void CowFs::check_lower(Node* node) {
  if (!node->merged() || node->lower_attr) return;
  const auto attr = lower_->getattr(Index::lower_path_of(node));
  if (attr && S_ISDIR(attr->stx_mode)) {
    node->lower_attr = std::make_unique<Attr>(*attr);
  } else if (attr || is_absence(attr.error())) {
    lower_went(node);
  }
}

Result<std::vector<DirEntry>> CowFs::list_lower(Node* node, const std::string& lower) {
  auto entries = lower_->list(lower);
  if (entries || !is_absence(entries.error())) return entries;
  lower_went(node);
  return std::vector<DirEntry>();
}

void CowFs::show_merged(Node* node, Attr* attr) {
  const Attr* lower = lower_attr(node);
  if (lower == nullptr) return;
  if (file_time(attr->stx_mtime) == file_time(lower->stx_mtime) && !node->meta->changed) {
    attr->stx_ctime = lower->stx_ctime;
  }
  if (minimal_ && !node->meta->changed &&
      file_time(lower->stx_mtime) > file_time(attr->stx_mtime)) {
    // The last change was one of the lower's.
    attr->stx_mtime = lower->stx_mtime;
    attr->stx_ctime = lower->stx_ctime;
  }
  attr->stx_btime = lower->stx_btime;
  attr->stx_mask |= lower->stx_mask & STATX_BTIME;
  attr->stx_size = lower->stx_size;
  attr->stx_blocks = lower->stx_blocks;
  attr->stx_nlink = lower->stx_nlink;
  // What a layer has that was opened again is known once the directory has been read.
  if (lower->stx_nlink < 2 || !load(node, Index::path_of(node)) || !node->children) return;
  if (!node->links_known) {
    node->links = 0;
    for (const auto& [name, child] : *node->children) {
      node->links += (child->is_dir() ? 1 : 0) - (covers_lower_dir(*child) ? 1 : 0);
    }
    node->links_known = true;
  }
  attr->stx_nlink += static_cast<uint32_t>(node->links);
}

void CowFs::fix_links(Attr* attr) const {
  if (index_.linked().empty() || S_ISDIR(attr->stx_mode)) return;
  const auto it = index_.linked().find({dev_of(*attr), attr->stx_ino});
  if (it != index_.linked().end()) {
    attr->stx_nlink -= static_cast<uint32_t>(it->second.covered);
  }
}

void CowFs::hide_snapshots(Attr* attr) {
  // An open file whose names are all the snapshots' has none in the view.
  if (attr->stx_nlink == 0 || S_ISDIR(attr->stx_mode) || snapshots_.none()) return;
  attr->stx_nlink -= std::min(attr->stx_nlink, snapshots_.count(attr->stx_ino));
}

void CowFs::show(Node* node, Attr* attr) {
  const Meta* meta = node->meta.get();
  if (meta == nullptr) return;
  override_attr(*meta, attr);
  if (!meta->origin || node->lower_gone) return;
  const LowerState& origin = *meta->origin;
  set_identity(attr, origin.dev, origin.ino);
  if (node->merged()) {
    show_merged(node, attr);
    return;
  }
  if (meta->copied_ctime != FileTime() && meta->copied_ctime == file_time(attr->stx_ctime)) {
    origin.ctime.put(&attr->stx_ctime);
  }
  add_links({origin.dev, origin.ino}, attr);
}

void CowFs::add_links(const InodeKey& key, Attr* attr) const {
  const auto& linked = index_.linked();
  if (linked.empty()) return;
  const auto it = linked.find(key);
  if (it == linked.end()) return;
  attr->stx_nlink += it->second.state.nlink - static_cast<uint32_t>(it->second.covered);
  if (it->second.anchor) --attr->stx_nlink;
}

Result<Attr> CowFs::attr_of_link(const Linked& linked) {
  TRY_ASSIGN(Attr attr, lstat_at(layer_->links_fd(), link_name(linked.state)));
  hide_snapshots(&attr);
  const auto other = by_upper_ino_.find(attr.stx_ino);
  if (other != by_upper_ino_.end()) {
    show(other->second, &attr);
    return attr;
  }
  set_identity(&attr, linked.state.dev, linked.state.ino);
  attr.stx_nlink += linked.state.nlink - static_cast<uint32_t>(linked.covered) - 1;
  return attr;
}

Result<Attr> CowFs::lower_attr_of(const Place& place) {
  if (place.attr) return *place.attr;
  return lower_->getattr(place.lower);
}

Result<Attr> CowFs::attr_of(const Place& place) {
  if (place.what == Place::What::kAbsent) return Errno(ENOENT);
  if (place.what == Place::What::kUpper) {
    TRY_ASSIGN(Attr attr, lstat_at(layer_->upper_fd(), place.path));
    hide_snapshots(&attr);
    show(place.node, &attr);
    return attr;
  }
  if (place.copied != nullptr) return attr_of_link(*place.copied);
  TRY_ASSIGN(Attr attr, lower_attr_of(place));
  fix_links(&attr);
  if (place.what == Place::What::kRef) override_attr(*place.node->meta, &attr);
  return attr;
}

Result<Attr> CowFs::getattr(const std::string& path) {
  TRY_ASSIGN(const Place place, look(path));
  return attr_of(place);
}

bool CowFs::fix_attr(Attr* attr) {
  const uint64_t dev = dev_of(*attr);
  const uint32_t links = attr->stx_nlink;
  if (dev == upper_dev_) hide_snapshots(attr);
  if (dev == upper_dev_ && !by_upper_ino_.empty()) {
    const auto it = by_upper_ino_.find(attr->stx_ino);
    if (it != by_upper_ino_.end()) {
      show(it->second, attr);
      return true;
    }
  }
  if (dev == upper_dev_ && !dead_.empty()) {
    if (const auto key = dead_of(*attr)) {
      const Meta& meta = dead_.at(attr->stx_ino).meta;
      set_identity(attr, key->dev, key->ino);
      override_attr(meta, attr);
      // The copy itself is open: what else was changed since its last name went shows.
      if (gone_.count(*key) != 0) {
        attr->stx_nlink = 0;
      } else {
        add_links(*key, attr);
      }
      return true;
    }
  }
  // What the lower shows of its own object is what is known here.
  const bool changed = lower_->fix_attr(attr) || attr->stx_nlink != links;
  const InodeKey key{dev_of(*attr), attr->stx_ino};
  if (show_gone(key, attr)) return true;
  if (S_ISDIR(attr->stx_mode)) {
    const auto it = by_lower_dir_.find(key);
    if (it == by_lower_dir_.end()) return changed;
    auto shown = getattr(Index::path_of(it->second));
    if (!shown) return changed;
    *attr = *shown;
    return true;
  }
  if (const auto it = by_lower_file_.find(key); it != by_lower_file_.end()) {
    // Opened before it was copied: the content stays what it was, the inode is the view's.
    const auto shown = getattr(Index::path_of(it->second));
    if (!shown) return changed;
    attr->stx_mode = shown->stx_mode;
    attr->stx_uid = shown->stx_uid;
    attr->stx_gid = shown->stx_gid;
    attr->stx_nlink = shown->stx_nlink;
    attr->stx_ctime = shown->stx_ctime;
    return true;
  }
  const uint32_t before = attr->stx_nlink;
  fix_links(attr);
  return changed || attr->stx_nlink != before;
}

bool CowFs::mark_attr(AttrMarks* marks) {
  // Of inodes that are the snapshots', too, the link count is another one; which, isn't known yet.
  if (!snapshots_.none() || !lower_->mark_attr(marks)) return false;
  marks_ = marks;
  for (const auto& [ino, node] : by_upper_ino_) mark(ino);
  for (const auto& [ino, key] : dead_) mark(ino);
  for (const auto& [key, node] : by_lower_dir_) mark(key.ino);
  for (const auto& [key, node] : by_lower_file_) mark(key.ino);
  for (const auto& [key, gone] : gone_) mark(key.ino);
  for (const auto& [key, linked] : index_.linked()) mark(key.ino);
  return true;
}

bool CowFs::mark_names(NameMarks* names) {
  if (!lower_->mark_names(names)) return false;
  names_ = names;
  index_.on_place = [names](const Node* node) { names->mark_name(Index::path_of(node)); };
  index_.on_directory = [names] { names->forget_directories(); };
  index_.each([&](const Node* node) { names->mark_name(Index::path_of(node)); });
  return true;
}

/// What was recorded of a merged directory, because the host wouldn't give it to the container, is
/// still the lower's.
bool CowFs::is_as_below(const Node& node, const std::string& path) {
  if (!node.meta->mode && !node.meta->uid) return true;
  const auto lower = lower_->getattr(path);
  return lower && node.meta->mode == (lower->stx_mode & 07777) &&
         node.meta->uid == lower->stx_uid && node.meta->gid == lower->stx_gid;
}

bool CowFs::shows_host(const std::string& path) {
  if (!lower_->shows_host(path)) return false;
  Node* node = index_.root();
  std::string_view rest = path;
  while (node != nullptr) {
    const std::string_view here = std::string_view(path).substr(0, path.size() - rest.size());
    if (node->present()) {
      const bool own =
          node->hidden || !node->merged() || node->meta->changed || !node->meta->redirect.empty();
      if (own || !load(node, here) || !is_as_below(*node, std::string(here))) return false;
    } else if (node->hidden) {
      return false;
    }
    if (rest.empty()) return true;
    node = node->child(next_component(&rest));
  }
  return true;
}

void CowFs::adopt(Node* node, uint64_t upper_ino, const FileTime& ctime) {
  if (node == nullptr || !node->meta) return;
  if (node->meta->upper_ino != upper_ino) remove_one(&by_upper_ino_, node->meta->upper_ino, node);
  node->meta->upper_ino = upper_ino;
  node->meta->copied_ctime = ctime;
  dead_.erase(upper_ino);
  register_node(node);
}

void CowFs::register_node(Node* node) {
  const Meta* meta = node->meta.get();
  if (meta == nullptr) return;
  mark(meta->upper_ino);
  acls_.erase(meta->upper_ino);
  if (meta->upper_ino != 0) add_once(&by_upper_ino_, meta->upper_ino, node);
  if (meta->origin) {
    mark(meta->origin->ino);
    const InodeKey key{meta->origin->dev, meta->origin->ino};
    if (node->merged()) {
      by_lower_dir_[key] = node;
    } else {
      add_once(&by_lower_file_, key, node);
    }
    gone_.erase(key);
  }
  if (!meta->redirect.empty()) redirects_[meta->redirect] = node;
}

void CowFs::unregister_node(Node* node) {
  std::erase_if(pending_, [&](const Pending& p) { return p.dir == node; });
  const Meta* meta = node->meta.get();
  if (meta == nullptr) return;
  if (remove_one(&by_upper_ino_, meta->upper_ino, node) && meta->origin &&
      by_upper_ino_.count(meta->upper_ino) == 0) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    Dead dead{{meta->origin->dev, meta->origin->ino},
              {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)},
              *meta};
    dead.meta.redirect = Index::lower_path_of(node);
    dead_[meta->upper_ino] = std::move(dead);
  }
  if (meta->origin) {
    const InodeKey key{meta->origin->dev, meta->origin->ino};
    if (node->merged()) {
      remove_one(&by_lower_dir_, key, node);
    } else {
      remove_one(&by_lower_file_, key, node);
    }
  }
  if (!meta->redirect.empty()) {
    const auto by_path = redirects_.find(meta->redirect);
    if (by_path != redirects_.end() && by_path->second == node) redirects_.erase(by_path);
  }
}

std::optional<Attr> CowFs::last_name_of(const Place& place) {
  if (!place.exists()) return {};
  const bool own =
      place.what == Place::What::kUpper && !(place.node->meta && place.node->meta->origin);
  if (own) return {};
  const auto attr = attr_of(place);
  if (!attr || (!place.is_dir() && attr->stx_nlink > 1)) return {};
  return *attr;
}

std::optional<InodeKey> CowFs::dead_of(const Attr& attr) const {
  const auto it = dead_.find(attr.stx_ino);
  if (it == dead_.end()) return {};
  const bool held = index_.linked().count(it->second.key) != 0;  // links/ has a name of it
  if (attr.stx_nlink != 0 && !held) return {};
  // Where files are made really, one that was made since then is another one.
  const bool born = (attr.stx_mask & STATX_BTIME) != 0;
  if (minimal_ && born && file_time(attr.stx_btime) >= it->second.died) return {};
  return it->second.key;
}

bool CowFs::show_gone(const InodeKey& key, Attr* attr) const {
  const auto it = gone_.find(key);
  if (it == gone_.end()) return false;
  attr->stx_nlink = 0;
  attr->stx_mode = it->second.mode;
  attr->stx_uid = it->second.uid;
  attr->stx_gid = it->second.gid;
  return true;
}

void CowFs::note_gone(const std::optional<Attr>& object) {
  constexpr size_t kMaxKept = 65536;  // those that nobody has open are not worth more
  if (!object) return;
  if (gone_.size() >= kMaxKept) gone_.clear();
  mark(object->stx_ino);
  gone_[{dev_of(*object), object->stx_ino}] = {object->stx_mode, object->stx_uid, object->stx_gid};
}

void CowFs::forget_dead(std::string_view path) {
  if (dead_.empty()) return;
  const auto attr = lstat_at(layer_->upper_fd(), std::string(path));
  if (attr) dead_.erase(attr->stx_ino);
}

void CowFs::apply(const Transaction& transaction) {
  for (const Record& record : transaction.records) {
    const bool node = record.op == Record::Op::kNode;
    uint64_t ino = 0;
    if (node) {
      Node* old = index_.find(record.path);
      if (old != nullptr && old->meta) {
        ino = old->meta->upper_ino;
        unregister_node(old);
        dead_.erase(ino);
      }
    }
    index_.apply(record);
    mark(record.state.ino);
    if (node) register_node(index_.find(record.path));
  }
}

Result<std::vector<DirEntry>> CowFs::list(const std::string& path) {
  TRY_ASSIGN(const Place place, look_existing(path));
  if (!place.is_dir()) return Errno(ENOTDIR);
  if (place.what == Place::What::kLower) return lower_->list(place.lower);
  Node* dir = place.node;
  TRY(load(dir, path));
  std::vector<DirEntry> out;
  if (dir->merged()) {
    TRY_ASSIGN(out, list_lower(dir, place.lower));
    if (!dir->children || dir->children->empty()) return out;
    std::erase_if(out, [&](const DirEntry& entry) {
      const Node* node = dir->child(entry.name);
      return node != nullptr && (node->hidden || node->present());
    });
  }
  if (!dir->children) return out;
  std::vector<size_t> unnumbered;
  for (const auto& [name, child] : *dir->children) {
    if (!child->present()) continue;
    DirEntry& entry = out.emplace_back(DirEntry{std::string(name), 0, child->type});
    if (child->meta && child->meta->origin) {
      entry.ino = child->meta->origin->ino;
    } else {
      unnumbered.push_back(out.size() - 1);
    }
  }
  number(path, unnumbered, &out);
  return out;
}

/// The inode numbers of names in upper/: one by one, or of many by reading the directory.
void CowFs::number(const std::string& path, const std::vector<size_t>& which,
                   std::vector<DirEntry>* entries) {
  constexpr size_t kFew = 4;
  std::unordered_map<std::string, uint64_t> numbers;
  if (which.size() > kFew) numbers = inode_numbers(layer_->upper_fd(), path);
  for (const size_t i : which) {
    DirEntry& entry = (*entries)[i];
    const auto it = numbers.find(entry.name);
    if (it != numbers.end()) {
      entry.ino = it->second;
    } else if (const auto attr = lstat_at(layer_->upper_fd(), join(path, entry.name))) {
      entry.ino = attr->stx_ino;
    }
  }
}

}  // namespace viewsh::viewfs
