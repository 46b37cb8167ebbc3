#include "commit_steps.h"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "cow_host.h"

namespace viewsh::viewfs {

Stamp stamp_of(const Attr& attr) {
  return {attr.stx_ino, attr.stx_mode, attr.stx_size, file_time(attr.stx_mtime), false};
}

bool is_still(const Stamp& then, const Attr& now) {
  if (then.ino != now.stx_ino || (then.mode & S_IFMT) != (now.stx_mode & S_IFMT)) return false;
  if (then.only_ino || S_ISDIR(now.stx_mode)) return true;
  return then.size == now.stx_size && then.mtime == file_time(now.stx_mtime);
}

Attributes attributes_of(const Attr& a) {
  return {a.stx_mode, a.stx_uid, a.stx_gid, file_time(a.stx_atime), file_time(a.stx_mtime)};
}

Steps::Steps(LayerView* view, Tree* lower, CommitPlan* plan)
    : view_(*view), tree_(*lower), plan_(*plan) {
  if (!plan->direct) return;
  const auto upper = lstat_at(view->layer->upper_fd(), "");
  if (upper) upper_dev_ = dev_of(*upper);
}

Object* Steps::lower(const std::string& path, const Node* node) {
  const auto known = objects_.find(path);
  if (known != objects_.end()) return known->second;
  error_ = {};
  Object* parent = nullptr;
  if (!path.empty()) {
    parent = lower(std::string(parent_of(path)));
    if (parent == nullptr) return nullptr;
  }
  Object* out = nullptr;
  const auto seen = node != nullptr ? view_.survey.lower(node) : std::nullopt;
  if (const auto attr = seen ? *seen : tree_.lstat(path)) {
    out = &plan_.objects.emplace_back();
    out->parent = parent;
    out->name = name_of(path);
    out->lower = path;
    out->attr = *attr;
    out->stamp = stamp_of(*attr);
  } else {
    error_ = attr.error();
  }
  objects_.emplace(path, out);
  return out;
}

Result<InPlace::Xattrs> Steps::xattrs(const Object* object) {
  TRY_ASSIGN(const Dir dir, tree_.parent(object->lower));
  return read_xattrs_at(dir->get(), leaf_of(object->lower));
}

Steps::Position& Steps::position(const std::string& path, const Node* node) {
  const auto [it, fresh] = positions_.try_emplace(path);
  if (fresh) {
    it->second.dir = lower(std::string(parent_of(path)));
    it->second.old = it->second.dir == nullptr ? nullptr : lower(path, node);
    it->second.show = view_.view_path(path);
  }
  return it->second;
}

void Steps::leave(const std::string& path, const Node* node) { position(path, node).leave = true; }

void Steps::come(const Spot& spot, size_t item) {
  Position& p = position(spot.lower, spot.node);
  p.item = item;
  p.show = view_.view_path(spot.path);
}

/// The object that a new directory is, which stays open to get something.
Object* Steps::object_of(size_t number) {
  Item& item = plan_.items[number];
  item.late = true;
  if (item.object != nullptr) return item.object;
  Object* out = &plan_.objects.emplace_back();
  out->name = item.name;
  out->attr = item.attr;
  item.object = out;
  if (item.dir != nullptr) return out;  // its parent is set with its temporary name
  size_t above = number;
  do {
    --above;  // a directory comes before what is in it
  } while (plan_.items[above].path != parent_of(item.path));
  out->parent = object_of(above);
  return out;
}

bool Steps::place(Object* moved, const Spot& spot) {
  Object* to = spot.dir != nullptr ? spot.dir : object_of(spot.item);
  if (spot.dir != nullptr && dev_of(to->attr) != dev_of(moved->attr)) return false;
  const auto depth = std::count(spot.path.begin(), spot.path.end(), '/');
  placements_.push_back({moved, to, std::string(name_of(spot.path)), view_.view_path(spot.path),
                         static_cast<size_t>(depth)});
  placed_.insert(moved);
  return true;
}

void Steps::touch(Object* dir) {
  if (dir == nullptr || dir->lower.empty() != (dir->parent == nullptr)) return;  // a new one
  if (!touched_.emplace(dir, plan_.record.dirs.size()).second) return;
  const Attributes before = attributes_of(dir->attr);
  const bool mine = before.uid == geteuid() && geteuid() != 0;
  const bool loosen = mine && (before.mode & S_IRWXU) != S_IRWXU;
  plan_.record.dirs.push_back({dir->lower, dir->stamp.ino, before, loosen});
}

void Steps::back_up(Object* file, InPlace* in) {
  in->backup = fresh_name();
  touch(file->parent);
  plan_.record.temps.push_back({file->parent->lower, in->backup});
  backups_.emplace_back(file->parent, in->backup);
}

void Steps::rename(Rename::Kind kind, Object* what, Object* to, const std::string& name,
                   const std::string& show) {
  Rename r;
  r.kind = kind;
  r.from_dir = path_of(what->parent);
  r.from_name = what->name;
  r.to_dir = path_of(to);
  r.to_name = name;
  r.what = what->stamp;
  r.show = show;
  plan_.record.renames.push_back(std::move(r));
  plan_.renames.push_back({what, what->parent, to, nullptr});
  what->parent = to;
  what->name = name;
  for (Object* above = what->parent; above != nullptr; above = above->parent) above->changed = true;
}

/// One rename between the layer and the lower does it. What is a directory stays where its owner
/// may move it from, what gets another name in the lower stays there, and what is one file under
/// several names is made of the first.
bool Steps::settle_directly(const std::string& name, const Position& p) {
  if (upper_dev_ == 0 || dev_of(p.dir->attr) != upper_dev_) return false;
  if (p.old != nullptr && (S_ISDIR(p.old->attr.stx_mode) || placed_.count(p.old) != 0)) {
    return false;
  }
  Direct d;
  d.dir = p.dir->lower;
  d.dir_ino = p.dir->stamp.ino;
  d.name = name;
  if (p.old != nullptr) d.there = p.old->stamp;
  if (p.item == SIZE_MAX) {
    d.kind = Direct::Kind::kOut;
    d.own = std::to_string(plan_.record.direct.size());
  } else {
    Item& item = plan_.items[p.item];
    const bool file = item.from == Item::From::kUpper && !S_ISDIR(item.attr.stx_mode);
    if (!file || !item.may_link || !item.alone) return false;
    d.kind = p.old != nullptr ? Direct::Kind::kExchange : Direct::Kind::kIn;
    d.own = item.path;
    d.ino = item.attr.stx_ino;
    item.direct = true;
  }
  plan_.record.direct.push_back(std::move(d));
  return true;
}

/// What becomes of one name of a lower directory.
void Steps::settle(const std::string& path, Position* p) {
  if (p->dir == nullptr) return;
  const std::string name(name_of(path));
  if (p->item == SIZE_MAX) {
    if (!p->leave || p->old == nullptr) return;
    touch(p->dir);
    if (settle_directly(name, *p)) return;
    p->old->trash = true;
    rename(Rename::Kind::kAside, p->old, p->dir, fresh_name(), p->show);
    return;
  }
  touch(p->dir);
  if (settle_directly(name, *p)) return;
  Item& item = plan_.items[p->item];
  if (item.object == nullptr) {
    item.object = &plan_.objects.emplace_back();
    item.object->attr = item.attr;
  }
  Object* fresh = item.object;
  item.temp = temps_;
  fresh->parent = p->dir;
  fresh->name = fresh_name();
  plan_.record.temps.push_back({p->dir->lower, fresh->name});
  const std::string temp = fresh->name;
  rename(p->old != nullptr ? Rename::Kind::kExchange : Rename::Kind::kIn, fresh, p->dir, name,
         p->show);
  if (p->old == nullptr) return;
  plan_.record.renames.back().there = p->old->stamp;
  plan_.renames.back().old = p->old;
  p->old->name = temp;
  p->old->trash = true;
  for (Object* above = p->dir; above != nullptr; above = above->parent) above->changed = true;
}

bool Steps::in_trash(const Object* object) {
  for (; object != nullptr; object = object->parent) {
    if (object->trash) return true;
  }
  return false;
}

/// What is left to be done when all is in place: trash, and the attributes of directories.
void Steps::tidy() {
  CommitRecord& record = plan_.record;
  for (const Object& object : plan_.objects) {
    if (!object.trash || in_trash(object.parent)) continue;
    record.trash.push_back(
        {path_of(object.parent), object.name, object.parent->stamp.ino, object.stamp.ino});
    plan_.trash.push_back(&object);
  }
  for (const auto& [dir, name] : backups_) {
    if (in_trash(dir)) continue;
    record.trash.push_back({path_of(dir), name, dir->stamp.ino, 0});
    plan_.trash.push_back(nullptr);
  }
  for (const auto& [dir, number] : touched_) {
    finish_.try_emplace(const_cast<Object*>(dir), record.dirs[number].before);
  }
  for (const Item& item : plan_.items) {
    if (item.late) finish_[item.object] = attributes_of(item.attr);
  }
  for (const auto& [dir, attributes] : finish_) {
    const bool same = touched_.count(dir) == 0 && dir->lower.empty() == (dir->parent == nullptr) &&
                      attributes.mode == dir->attr.stx_mode &&
                      attributes.mtime == file_time(dir->attr.stx_mtime) &&
                      attributes.atime == file_time(dir->attr.stx_atime);
    if (same || in_trash(dir)) continue;
    record.finish.push_back({path_of(dir), dir->stamp.ino, attributes});
    plan_.finish.push_back(dir);
  }
}

/// What directories of upper/ were before files went from them.
void Steps::tidy_direct() {
  std::unordered_set<std::string> paths;
  std::unordered_set<std::string> dirs;
  Tree upper(view_.layer->upper_fd());
  for (const Direct& d : plan_.record.direct) {
    if (d.kind == Direct::Kind::kOut) continue;
    paths.insert(d.own);
    std::string dir(parent_of(d.own));
    if (!dirs.insert(dir).second) continue;
    const auto attr = upper.lstat(dir);
    if (!attr) continue;  // then the rename tells
    plan_.record.upper_dirs.push_back({dir, attr->stx_ino, attributes_of(*attr), false});
  }
  // Nobody opens them.
  std::erase_if(plan_.record.locked,
                [&](const LockedUpper& l) { return paths.count(l.path) != 0; });
}

std::string Steps::finish() {
  // What is written in place is so by all of its names.
  std::set<std::pair<uint64_t, uint64_t>> written;
  for (const Object& object : plan_.objects) {
    if (object.stamp.only_ino) written.emplace(dev_of(object.attr), object.stamp.ino);
  }
  for (Object& object : plan_.objects) {
    if (written.count({dev_of(object.attr), object.stamp.ino}) != 0) object.stamp.only_ino = true;
  }
  std::vector<std::pair<size_t, std::string>> order;
  for (const auto& [path, p] : positions_) {
    order.emplace_back(static_cast<size_t>(std::count(path.begin(), path.end(), '/')), path);
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  // Directories that change parents have to be writable, too.
  for (const Placement& p : placements_) {
    if (S_ISDIR(p.what->attr.stx_mode) && p.what->parent != p.dir) touch(p.what);
  }
  for (const auto& [depth, path] : order) settle(path, &positions_[path]);
  std::stable_sort(placements_.begin(), placements_.end(),
                   [](const Placement& a, const Placement& b) { return a.depth < b.depth; });
  for (const Placement& p : placements_) {
    p.what->trash = false;
    touch(p.dir);
    rename(Rename::Kind::kPlace, p.what, p.dir, p.name, p.show);
  }
  tidy();
  tidy_direct();
  const auto higher = [](const TouchedDir& a, const TouchedDir& b) {
    return std::count(a.path.begin(), a.path.end(), '/') <
           std::count(b.path.begin(), b.path.end(), '/');
  };
  std::stable_sort(plan_.record.dirs.begin(), plan_.record.dirs.end(), higher);
  return {};
}

}  // namespace viewsh::viewfs
