#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {

struct CowFs::Move {
  Place from;
  Place to;
  bool exchange = false;
  bool nothing = false;  ///< both names are the same node
};

namespace {
/// The log says something of what is below a directory.
bool recorded_below(const Node* node) {
  if (!node->children) return false;
  return std::any_of(node->children->begin(), node->children->end(), [](const auto& entry) {
    const Node& child = *entry.second;
    return child.hidden || child.meta || recorded_below(&child);
  });
}

bool is_below(const std::string& path, const std::string& above) {
  return path.size() > above.size() && path[above.size()] == '/' && path.rfind(above, 0) == 0;
}
}  // namespace

Result<bool> CowFs::same_node(const Place& from, const Place& to) {
  if (from.path == to.path) return true;
  if (from.type != to.type || from.is_dir()) return false;
  TRY_ASSIGN(const Attr a, attr_of(from));
  TRY_ASSIGN(const Attr b, attr_of(to));
  return a.stx_ino == b.stx_ino && dev_of(a) == dev_of(b);
}

/// fs/namei.c: do_renameat2, vfs_rename, may_delete.
Result<void> CowFs::check_rename(Move* move, const Caller& caller) {
  const Place& from = move->from;
  const Place& to = move->to;
  if (!move->exchange && is_below(from.path, to.path)) return Errno(ENOTEMPTY);
  if (is_below(to.path, from.path) || is_below(from.path, to.path)) return Errno(EINVAL);
  if (to.exists()) {
    TRY_ASSIGN(move->nothing, same_node(from, to));
    if (move->nothing) return {};
  }
  TRY(may_remove(from, caller));
  if (to.exists()) {
    TRY(may_remove(to, caller));
    if (!move->exchange && from.is_dir() != to.is_dir()) {
      return Errno(from.is_dir() ? ENOTDIR : EISDIR);
    }
  } else {
    TRY(may_change(parent_of(to.path), caller));
  }
  if (parent_of(from.path) != parent_of(to.path)) {
    if (from.is_dir()) TRY(may_access(from, W_OK, caller));
    if (move->exchange && to.is_dir()) TRY(may_access(to, W_OK, caller));
  }
  if (!move->exchange && to.is_dir()) {
    TRY_ASSIGN(const bool empty, view_empty(to));
    if (!empty) return Errno(ENOTEMPTY);
  }
  return {};
}

Result<void> CowFs::rename(const std::string& from, const std::string& to, unsigned flags,
                           const Caller& caller) {
  if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE) return Errno(EINVAL);
  const auto below = [&](FileSystem& lower) { return lower.rename(from, to, flags, caller); };
  if (auto done = in_lower({&from, &to}, caller, below)) return *done;
  TRY(same_device(from, to));
  Move move;
  TRY_ASSIGN(move.from, look_existing(from));
  TRY_ASSIGN(move.to, look(to));
  move.exchange = flags == RENAME_EXCHANGE;
  if (flags == RENAME_NOREPLACE && move.to.exists()) return Errno(EEXIST);
  if (move.exchange && !move.to.exists()) return Errno(ENOENT);
  if (from.empty() || to.empty()) return Errno(EBUSY);
  TRY(check_rename(&move, caller));
  if (move.nothing) return {};
  TRY_ASSIGN(const bool from_made, made_upper_dir(parent_of(from)));
  TRY_ASSIGN(const bool to_made, made_upper_dir(parent_of(to)));
  if (from_made || to_made) {
    TRY_ASSIGN(move.from, look_existing(from));
    TRY_ASSIGN(move.to, look(to));
  }
  if (move.exchange) return exchange(&move);
  const auto replaced = last_name_of(move.to);
  const LockedDir locked = locked_dir(move.to);
  if (move.from.what == Place::What::kUpper) {
    TRY(rename_upper(move));
  } else if (move.from.is_dir()) {
    TRY(rename_lower_dir(move));
  } else {
    TRY(rename_ref(move));
  }
  locked.show_mode();
  note_gone(replaced);
  return {};
}

Result<uint64_t> CowFs::device_of_dir(std::string_view path) {
  TRY_ASSIGN(const Place place, find_place(path));
  if (place.what == Place::What::kAbsent) return Errno(ENOENT);
  if (place.what != Place::What::kUpper) {
    TRY_ASSIGN(const Attr attr, lower_->getattr(place.lower));
    return dev_of(attr);
  }
  Node* node = place.node;
  while (!node->merged()) node = node->parent;  // the root is
  const Attr* attr = lower_attr(node);
  if (attr == nullptr) return Errno(EIO);
  return dev_of(*attr);
}

Result<void> CowFs::same_device(const std::string& from, const std::string& to) {
  const std::string_view from_dir = parent_of(from);
  const std::string_view to_dir = parent_of(to);
  if (from_dir == to_dir) return {};
  TRY_ASSIGN(const uint64_t a, device_of_dir(from_dir));
  TRY_ASSIGN(const uint64_t b, device_of_dir(to_dir));
  return a == b ? Errno() : Errno(EXDEV);
}

/// The record of a node at its new position: where it stands for something of the lower, it has to
/// say for what. Nothing: a node without a record.
std::optional<Meta> CowFs::moved_meta(const Place& from, const Place& to) const {
  if (from.node == nullptr || !from.node->meta) return {};
  Meta meta = *from.node->meta;
  const bool stands = meta.kind != Meta::Kind::kUpper || meta.origin.has_value();
  meta.redirect.clear();
  if (from.node->lower_gone) {
    // What comes back underneath comes back here, and nothing else does.
    meta.redirect = Index::lower_path_of(from.node);
  } else if (stands && from.has_lower &&
             !(to.position_has_lower && to.position_lower == from.lower)) {
    meta.redirect = from.lower;
  }
  return meta;
}

/// What becomes of the lower's name at the target.
Result<void> CowFs::replace_target(const Place& to, Transaction* transaction) {
  if (!to.exists()) return {};
  TRY(hide_position(to, transaction));
  if (to.what != Place::What::kUpper) {
    TRY_ASSIGN(const Attr attr, lower_attr_of(to));
    cover(attr, false, transaction);
  }
  return {};
}

Result<void> CowFs::rename_upper(const Move& move) {
  const Place& from = move.from;
  const Place& to = move.to;
  Transaction t;
  TRY(hide_position(from, &t));
  t.ahead = !t.records.empty();
  TRY(replace_target(to, &t));
  // Without its line a new file that takes a lower one's name counts all the same; not so what the
  // other names of that one are.
  t.ahead = t.ahead || t.records.size() > 1;
  auto meta = moved_meta(from, to);
  const bool target_known = to.exists() && to.node != nullptr && to.node->meta != nullptr;
  const PathAt source(layer_->upper_fd(), from.path);
  const PathAt target(layer_->upper_fd(), to.path);
  const auto step = [&] {
    return renameat(source.dir(), source.name(), target.dir(), target.name());
  };
  if (t.records.empty() && !meta && !target_known && !from.is_dir()) {
    TRY(layer_->settle());
    TRY(from_libc(step()));
    Node* moved = index_.move(from.node, to.path);
    moved->lower_absent = !to.exists() && !moved->hidden;
    return {};
  }
  TRY_ASSIGN(const Attr attr, lstat_at(layer_->upper_fd(), from.path));
  t.test = {HostTest::Kind::kIno, to.path, attr.stx_ino};
  t.ahead = t.ahead || meta || target_known || recorded_below(from.node);
  t.records.push_back(Record::move(from.path, to.path));
  if (meta) t.records.push_back(Record::node(to.path, std::move(*meta)));
  TRY(change(t, step));
  drop_anchor(t);
  return {};
}

Result<void> CowFs::rename_lower_dir(const Move& move) {
  const Place& from = move.from;
  const Place& to = move.to;
  TRY_ASSIGN(const Attr attr, lower_attr_of(from));
  Meta meta;
  TRY_ASSIGN(const std::string temp, make_container(attr, from.lower, &meta));
  TRY_ASSIGN(const Attr made, lstat_at(layer_->work_fd(), temp));
  if (!(to.position_has_lower && to.position_lower == from.lower)) meta.redirect = from.lower;
  Transaction t;
  TRY(hide_position(from, &t));
  TRY(replace_target(to, &t));
  t.records.push_back(Record::clear(to.path));
  t.records.push_back(Record::node(to.path, std::move(meta)));
  t.test = {HostTest::Kind::kIno, to.path, made.stx_ino};
  t.ahead = true;
  const PathAt target(layer_->upper_fd(), to.path);
  const auto done = change(
      t, [&] { return renameat(layer_->work_fd(), temp.c_str(), target.dir(), target.name()); });
  if (!done) {
    unlinkat(layer_->work_fd(), temp.c_str(), AT_REMOVEDIR);
    return done;
  }
  Node* node = index_.find(to.path);
  node->loaded = true;
  node->lower_attr = std::make_unique<Attr>(attr);
  adopt(node, made.stx_ino, 0);
  touch(parent_of(from.path));
  announce_removal(from.path);
  return {};
}

Result<void> CowFs::rename_ref(const Move& move) {
  const Place& from = move.from;
  const Place& to = move.to;
  TRY_ASSIGN(Meta meta, ref_meta(from));
  const bool home = to.position_has_lower && to.position_lower == from.lower;
  meta.redirect.clear();
  if (!home) meta.redirect = from.lower;
  const bool was_upper = to.what == Place::What::kUpper;
  Transaction t;
  TRY(hide_position(from, &t));
  TRY(replace_target(to, &t));
  t.records.push_back(Record::clear(from.path));
  t.records.push_back(Record::clear(to.path));
  if (home && !meta.mode && !meta.uid) {
    t.records.push_back(Record::show(to.path));
  } else {
    t.records.push_back(Record::node(to.path, std::move(meta)));
  }
  if (was_upper) {
    t.test = {HostTest::Kind::kGone, to.path, 0};
    t.ahead = true;
    const PathAt target(layer_->upper_fd(), to.path);
    TRY(change(t, [&] { return unlinkat(target.dir(), target.name(), 0); }));
  } else {
    TRY(change(t, nullptr));
    touch(parent_of(to.path));
  }
  drop_anchor(t);
  touch(parent_of(from.path));
  announce_removal(from.path);
  return {};
}

/// The record that makes a lower node which isn't a directory stand on its own.
Result<Meta> CowFs::ref_meta(const Place& place) {
  Meta meta;
  if (place.what == Place::What::kRef) meta = *place.node->meta;
  meta.kind = Meta::Kind::kRef;
  meta.type = place.type;
  if (!meta.origin) {
    TRY_ASSIGN(const Attr attr, lower_attr_of(place));
    meta.origin = lower_state(attr);
  }
  return meta;
}

/// Makes a name that is only the lower's one of the layer's, so that it can be swapped.
Result<void> CowFs::hold(Place* place) {
  if (place->what != Place::What::kLower) return {};
  if (place->is_dir()) return copy_up(place, false);
  TRY_ASSIGN(Meta meta, ref_meta(*place));
  Transaction t;
  t.records.push_back(Record::node(place->path, std::move(meta)));
  TRY(change(t, nullptr));
  TRY_ASSIGN(*place, find_place(place->path));
  return {};
}

Result<void> CowFs::exchange(Move* move) {
  Place& a = move->from;
  Place& b = move->to;
  TRY(hold(&a));
  TRY(hold(&b));
  Transaction t;
  TRY(hide_position(a, &t));
  TRY(hide_position(b, &t));
  auto a_meta = moved_meta(a, b);
  auto b_meta = moved_meta(b, a);
  t.records.push_back(Record::swap(a.path, b.path));
  if (a_meta) t.records.push_back(Record::node(b.path, std::move(*a_meta)));
  if (b_meta) t.records.push_back(Record::node(a.path, std::move(*b_meta)));
  const bool a_upper = a.what == Place::What::kUpper;
  const bool b_upper = b.what == Place::What::kUpper;
  if (!a_upper && !b_upper) {
    TRY(change(t, nullptr));
    touch(parent_of(a.path));
    touch(parent_of(b.path));
    return {};
  }
  const PathAt source(layer_->upper_fd(), a_upper ? a.path : b.path);
  const PathAt target(layer_->upper_fd(), a_upper ? b.path : a.path);
  TRY_ASSIGN(const Attr attr, lstat_at(source.dir(), source.name()));
  t.test = {HostTest::Kind::kIno, a_upper ? b.path : a.path, attr.stx_ino};
  t.ahead = true;
  const unsigned flags = a_upper && b_upper ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  return change(t, [&] {
    return renameat2(source.dir(), source.name(), target.dir(), target.name(), flags);
  });
}

}  // namespace viewsh::viewfs
