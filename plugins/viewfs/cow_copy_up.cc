#include <fcntl.h>
#include <unistd.h>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {

Result<std::string> CowFs::make_container(const Attr& from, const std::string& lower, Meta* meta) {
  TRY_ASSIGN(const Xattrs xattrs, xattrs_of_lower(lower));
  const std::string temp = layer_->temp_name();
  TRY_ASSIGN(*meta, make_container_in(layer_->work_fd(), temp, from, xattrs));
  return temp;
}

Result<void> CowFs::copy_up_dir(const std::string& path, const std::string& lower) {
  TRY_ASSIGN(const Attr attr, lower_->getattr(lower));
  if (!S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
  Meta meta;
  TRY_ASSIGN(const std::string temp, make_container(attr, lower, &meta));
  TRY_ASSIGN(const Attr made, lstat_at(layer_->work_fd(), temp));
  const KeepTimes keep(layer_->upper_fd(), parent_of(path));
  Transaction t;
  t.test = {HostTest::Kind::kIno, path, made.stx_ino};
  t.records.push_back(Record::node(path, std::move(meta)));
  const PathAt to(layer_->upper_fd(), path);
  const auto done =
      change(t, [&] { return renameat(layer_->work_fd(), temp.c_str(), to.dir(), to.name()); });
  if (!done) {
    unlinkat(layer_->work_fd(), temp.c_str(), AT_REMOVEDIR);
    return done;
  }
  Node* node = index_.find(path);
  node->loaded = true;
  node->lower_attr = std::make_unique<Attr>(attr);
  adopt(node, made.stx_ino, 0);
  return {};
}

Result<Node*> CowFs::ensure_upper_dir(std::string_view path) {
  for (;;) {
    TRY_ASSIGN(const Place place, find_place(path));
    if (place.what == Place::What::kUpper) {
      if (!place.node->is_dir()) return Errno(ENOTDIR);
      TRY(load(place.node, path));
      return place.node;
    }
    if (place.what != Place::What::kLower) {
      return Errno(place.exists() ? ENOTDIR : ENOENT);
    }
    // The topmost directory that isn't in upper/ yet.
    std::string_view top = path;
    while (index_.find(parent_of(top)) == nullptr || !index_.find(parent_of(top))->is_dir()) {
      top = parent_of(top);
    }
    TRY_ASSIGN(const Place first, find_place(top));
    TRY(copy_up_dir(std::string(top), first.lower));
  }
}

Result<bool> CowFs::made_upper_dir(std::string_view path) {
  const Node* known = index_.find(path);
  const bool there = known != nullptr && known->is_dir() && known->loaded;
  TRY(ensure_upper_dir(path));
  return !there;
}

void CowFs::cover(const Attr& attr, bool copied, Transaction* transaction, int names) {
  if (S_ISDIR(attr.stx_mode)) return;
  Record r;
  r.op = Record::Op::kLinked;
  r.state = lower_state(attr);
  const auto it = index_.linked().find({r.state.dev, r.state.ino});
  if (it == index_.linked().end() && attr.stx_nlink < 2 && names > 0) return;
  if (it != index_.linked().end()) {
    r.covered = it->second.covered;
    r.anchor = it->second.anchor;
    r.state = it->second.state;
  }
  r.covered += names;
  r.anchor = r.anchor || copied;
  transaction->records.push_back(std::move(r));
}

void CowFs::drop_anchor(const Transaction& transaction) {
  for (const Record& r : transaction.records) {
    if (r.op == Record::Op::kLinked && r.anchor &&
        r.covered >= static_cast<int32_t>(r.state.nlink)) {
      unlinkat(layer_->links_fd(), link_name(r.state).c_str(), 0);
    }
  }
}

Result<bool> CowFs::materialise(const std::string& path, const Attr& attr) {
  const bool copied = S_ISREG(attr.stx_mode) || S_ISLNK(attr.stx_mode);
  if (index_.linked().empty() || attr.stx_nlink < 2 || !copied) return false;
  if (frozen()) return false;
  const auto it = index_.linked().find({dev_of(attr), attr.stx_ino});
  if (it == index_.linked().end() || !it->second.anchor) return false;
  const std::string name = link_name(it->second.state);
  const std::string dir(parent_of(path));
  TRY(ensure_upper_dir(dir));
  TRY_ASSIGN(const Attr anchor, lstat_at(layer_->links_fd(), name));
  const KeepTimes keep(layer_->upper_fd(), dir);
  Transaction t;
  t.test = {HostTest::Kind::kIno, path, anchor.stx_ino};
  t.ahead = true;
  Meta meta;
  meta.type = type_of_mode(attr.stx_mode);
  meta.origin = it->second.state;
  const Node* known = index_.find(path);
  if (known != nullptr && known->meta) meta.redirect = known->meta->redirect;
  const auto by_ino = by_upper_ino_.find(anchor.stx_ino);
  if (by_ino != by_upper_ino_.end()) {
    const Meta& other = *by_ino->second->meta;
    meta.mode = other.mode, meta.uid = other.uid, meta.gid = other.gid;
    meta.changed = other.changed;
  }
  t.records.push_back(Record::node(path, std::move(meta)));
  cover(attr, true, &t);
  const PathAt to(layer_->upper_fd(), path);
  TRY(change(t, [&] { return linkat(layer_->links_fd(), name.c_str(), to.dir(), to.name(), 0); }));
  adopt(index_.find(path), anchor.stx_ino, 0);
  drop_anchor(t);
  return true;
}

Result<void> CowFs::install_copy(const Place& place, const std::string& temp, const Attr& from) {
  const std::string& path = place.path;
  TRY_ASSIGN(const Attr made, lstat_at(layer_->work_fd(), temp));
  const CopiedAttr copied{.owner = made.stx_uid == from.stx_uid && made.stx_gid == from.stx_gid,
                          .mode = S_ISLNK(from.stx_mode) || made.stx_mode == from.stx_mode};
  Transaction t;
  t.test = {HostTest::Kind::kIno, path, made.stx_ino};
  Meta meta;
  meta.type = type_of_mode(from.stx_mode);
  meta.origin = lower_state(from);
  if (place.what == Place::What::kRef) {
    meta.redirect = place.node->meta->redirect;
    meta.mode = place.node->meta->mode;
  }
  keep_attr(from, copied, &meta);
  t.records.push_back(Record::node(path, std::move(meta)));
  if (from.stx_nlink > 1) {
    cover(from, true, &t);
    t.ahead = true;  // the names would come apart
    const std::string anchor = link_name(lower_state(from));
    unlinkat(layer_->links_fd(), anchor.c_str(), 0);
    if (t.records.back().covered < static_cast<int32_t>(from.stx_nlink)) {
      TRY(from_libc(
          linkat(layer_->work_fd(), temp.c_str(), layer_->links_fd(), anchor.c_str(), 0)));
    }
  }
  const KeepTimes keep(layer_->upper_fd(), parent_of(path));
  const PathAt to(layer_->upper_fd(), path);
  TRY(change(t, [&] { return renameat(layer_->work_fd(), temp.c_str(), to.dir(), to.name()); }));
  const auto now = lstat_at(layer_->upper_fd(), path);
  adopt(index_.find(path), made.stx_ino, now ? file_time(now->stx_ctime) : FileTime());
  return {};
}

Result<void> CowFs::copy_up(Place* place, bool with_data) {
  if (place->what == Place::What::kUpper) return {};
  if (place->is_dir()) {
    TRY(ensure_upper_dir(place->path));
  } else {
    TRY_ASSIGN(const Attr attr, lower_attr_of(*place));
    if (!S_ISREG(attr.stx_mode) && !S_ISLNK(attr.stx_mode)) return Errno(EPERM);
    // Without data, too: the object has the extended attributes.
    TRY_ASSIGN(const std::string host, content_of_lower(place->lower, O_RDONLY));
    TRY_ASSIGN(const Xattrs xattrs, xattrs_of_lower(place->lower, host));
    TRY(ensure_upper_dir(parent_of(place->path)));
    const std::string temp = layer_->temp_name();
    TRY_ASSIGN(const CopiedAttr copied, copy_node(host, attr, layer_->work_fd(), temp, with_data,
                                                  layer_->durable(), xattrs));
    (void)copied;  // install_copy() looks at the result itself
    constexpr mode_t kOpen = S_IRUSR | S_IWUSR;
    if (minimal_ && S_ISREG(attr.stx_mode) && (attr.stx_mode & kOpen) != kOpen) {
      // Whoever may not write to the file may write to its copy; the mode shown is the file's.
      fchmodat(layer_->work_fd(), temp.c_str(), (attr.stx_mode & 07777) | kOpen, 0);
    }
    if (const auto done = install_copy(*place, temp, attr); !done) {
      unlinkat(layer_->work_fd(), temp.c_str(), 0);
      return done;
    }
  }
  TRY_ASSIGN(*place, find_place(place->path));
  return {};
}

}  // namespace viewsh::viewfs
