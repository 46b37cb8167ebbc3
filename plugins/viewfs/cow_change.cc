#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

/// The caller's umask for calls that honour it (and default ACLs in its place). umask(2).
class WithUmask {
 public:
  explicit WithUmask(mode_t mask) : old_(umask(mask)) {}
  ~WithUmask() { umask(old_); }
  WithUmask(const WithUmask&) = delete;
  WithUmask& operator=(const WithUmask&) = delete;

 private:
  mode_t old_;
};

}  // namespace

Result<void> CowFs::change(const Transaction& transaction, const std::function<int()>& step) {
  TRY(layer_->begin(transaction));
  if (step && step() < 0) {
    const Errno error = Errno::last();
    layer_->rollback();
    return error;
  }
  apply(transaction);
  return {};
}

void CowFs::touch(std::string_view dir) {
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
                             {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  const PathAt at(layer_->upper_fd(), std::string(dir.empty() ? "." : dir));
  utimensat(at.dir(), at.name(), times, AT_SYMLINK_NOFOLLOW);
}

Node* CowFs::made(Node* dir, std::string_view name, NodeType type) {
  Node* node = index_.make_child(dir, name);
  node->state = Node::State::kUpper;
  node->type = type;
  node->loaded = type == NodeType::kDirectory;
  node->lower_absent = !node->hidden;  // or it would have been there
  if (node->loaded) node->links_changed();
  if (!dead_.empty()) forget_dead(Index::path_of(node));
  return node;
}

Result<void> CowFs::may_create(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(const Place place, look(path));
  if (place.exists()) return Errno(EEXIST);
  return may_change(parent_of(path), caller);
}

/// A directory as the kernel would make it in `dir`, with group, set-group-ID bit and ACLs, but in
/// work/. `attr`: what it looks like.
Result<std::string> CowFs::make_dir_like_in(std::string_view dir, mode_t mode, mode_t mask,
                                            Attr* attr) {
  const int work = layer_->work_fd();
  const std::string parent(dir.empty() ? "." : dir);
  const std::string nest = layer_->temp_name();
  const std::string temp = layer_->temp_name();
  TRY_ASSIGN(const Attr above, lstat_at(layer_->upper_fd(), std::string(dir)));
  TRY(from_libc(mkdirat(work, nest.c_str(), 0700)));
  copy_attr(work, nest, above, S_IRWXU);
  const Result<void> copied =
      copy_xattrs(LongPath(layer_->upper_fd(), parent), LongPath(work, nest));
  if (!copied) {
    unlinkat(work, nest.c_str(), AT_REMOVEDIR);
    return copied.error();
  }
  const std::string inside = nest + "/" + temp;
  const auto made = [&]() -> Result<void> {
    {
      const WithUmask masked(mask);
      TRY(from_libc(mkdirat(work, inside.c_str(), mode & 01777)));
    }
    TRY_ASSIGN(*attr, lstat_at(work, inside));
    // The owner has to get at the container.
    TRY(from_libc(fchmodat(work, inside.c_str(), (attr->stx_mode & 07777) | S_IRWXU, 0)));
    return from_libc(renameat(work, inside.c_str(), work, temp.c_str()));
  }();
  if (!made) unlinkat(work, inside.c_str(), AT_REMOVEDIR);
  unlinkat(work, nest.c_str(), AT_REMOVEDIR);
  if (!made) return made.error();
  return temp;
}

/// The mode that is shown goes into the log.
Result<void> CowFs::make_locked_dir(const std::string& path, mode_t mode, mode_t mask) {
  Attr attr{};
  TRY_ASSIGN(const std::string temp, make_dir_like_in(parent_of(path), mode, mask, &attr));
  Meta meta;
  meta.type = NodeType::kDirectory;
  meta.mode = attr.stx_mode & 07777;
  meta.uid = attr.stx_uid;
  meta.gid = attr.stx_gid;
  meta.changed = true;
  Transaction t;
  t.test = {HostTest::Kind::kIno, path, attr.stx_ino};
  t.ahead = true;  // or it would be open
  t.records.push_back(Record::node(path, std::move(meta)));
  const PathAt to(layer_->upper_fd(), path);
  const auto done = change(t, [&] {
    return renameat2(layer_->work_fd(), temp.c_str(), to.dir(), to.name(), RENAME_NOREPLACE);
  });
  if (!done) {
    unlinkat(layer_->work_fd(), temp.c_str(), AT_REMOVEDIR);
    return done;
  }
  Node* node = index_.find(path);
  node->loaded = true;
  adopt(node, attr.stx_ino, 0);
  return {};
}

Result<void> CowFs::mkdir(const std::string& path, mode_t mode, const Caller& caller) {
  const auto below = [&](FileSystem& lower) { return lower.mkdir(path, mode, caller); };
  if (auto done = in_lower({&path}, caller, below)) return *done;
  TRY(may_create(path, caller));
  TRY_ASSIGN(Node * dir, ensure_upper_dir(parent_of(path)));
  const mode_t effective = mode & ~caller.umask & 01777;
  if ((effective & S_IRWXU) != S_IRWXU) {
    return make_locked_dir(path, mode, caller.umask);
  }
  TRY(layer_->settle());
  const WithUmask masked(caller.umask);
  const PathAt at(layer_->upper_fd(), path);
  TRY(from_libc(mkdirat(at.dir(), at.name(), mode & 07777)));
  made(dir, name_of(path), NodeType::kDirectory);
  return {};
}

Result<void> CowFs::mknod(const std::string& path, mode_t mode, dev_t dev, const Caller& caller) {
  const auto below = [&](FileSystem& lower) { return lower.mknod(path, mode, dev, caller); };
  if (auto done = in_lower({&path}, caller, below)) return *done;
  TRY(may_create(path, caller));
  TRY_ASSIGN(Node * node, ensure_upper_dir(parent_of(path)));
  TRY(layer_->settle());
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  const WithUmask masked(caller.umask);
  const PathAt at(layer_->upper_fd(), path);
  TRY(from_libc(mknodat(at.dir(), at.name(), mode, dev)));
  made(node, name_of(path), type_of_mode(mode));
  return {};
}

Result<void> CowFs::symlink(const std::string& path, const std::string& target,
                            const Caller& caller) {
  if (target.empty()) return Errno(ENOENT);
  const auto below = [&](FileSystem& lower) { return lower.symlink(path, target, caller); };
  if (auto done = in_lower({&path}, caller, below)) return *done;
  TRY(may_create(path, caller));
  TRY_ASSIGN(Node * dir, ensure_upper_dir(parent_of(path)));
  TRY(layer_->settle());
  const PathAt at(layer_->upper_fd(), path);
  TRY(from_libc(symlinkat(target.c_str(), at.dir(), at.name())));
  made(dir, name_of(path), NodeType::kSymlink)->target = target;
  return {};
}

Result<void> CowFs::link_ref(const Place& from, const std::string& to) {
  TRY_ASSIGN(Meta meta, ref_meta(from));
  meta.redirect = from.lower;
  TRY_ASSIGN(const Attr attr, lower_->getattr(from.lower));
  Transaction t;
  t.records.push_back(Record::node(to, std::move(meta)));
  cover(attr, false, &t, -1);
  TRY(change(t, nullptr));
  touch(parent_of(to));
  return {};
}

Result<void> CowFs::link(const std::string& from, const std::string& to, const Caller& caller) {
  const auto below = [&](FileSystem& lower) { return lower.link(from, to, caller); };
  if (auto done = in_lower({&from, &to}, caller, below)) return *done;
  TRY_ASSIGN(Place source, look_existing(from));
  TRY_ASSIGN(const Place target, look(to));
  if (target.exists()) return Errno(EEXIST);
  TRY(same_device(from, to));
  TRY(may_hardlink(source, caller));
  TRY(may_change(parent_of(to), caller));
  if (source.is_dir()) return Errno(EPERM);
  TRY_ASSIGN(Node * dir, ensure_upper_dir(parent_of(to)));
  if (source.what != Place::What::kUpper && source.type != NodeType::kRegular &&
      source.type != NodeType::kSymlink) {
    return link_ref(source, to);
  }
  TRY(copy_up(&source, true));
  const PathAt old_name(layer_->upper_fd(), from);
  const PathAt new_name(layer_->upper_fd(), to);
  const auto step = [&] {
    return linkat(old_name.dir(), old_name.name(), new_name.dir(), new_name.name(), 0);
  };
  if (!source.node->meta) {
    TRY(layer_->settle());
    TRY(from_libc(step()));
    made(dir, name_of(to), source.type);
    return {};
  }
  Meta meta = *source.node->meta;
  if (meta.origin && source.has_lower) meta.redirect = source.lower;
  const uint64_t ino = meta.upper_ino;
  Transaction t;
  t.test = {HostTest::Kind::kIno, to, ino};
  t.ahead = true;
  t.records.push_back(Record::node(to, std::move(meta)));
  return change(t, step);
}

Result<void> CowFs::link_host(const std::string& host_fd, const std::string& to,
                              const Caller& caller) {
  const auto below = [&](FileSystem& lower) { return lower.link_host(host_fd, to, caller); };
  if (auto done = in_lower({&to}, caller, below)) return *done;
  TRY_ASSIGN(const std::string host, read_link(AT_FDCWD, host_fd));
  Attr attr{};
  const unsigned mask = STATX_BASIC_STATS | STATX_BTIME;
  if (statx(AT_FDCWD, host_fd.c_str(), AT_NO_AUTOMOUNT, mask, &attr) < 0) return Errno::last();
  if (attr.stx_nlink > 0 || dev_of(attr) != upper_dev_) {
    // An open file that has a name is linked by it: a lower's must not get one in upper/.
    const bool deleted = host.ends_with(" (deleted)");
    const auto known = shown_at(attr);
    const auto path = known || deleted ? known : reverse(host);
    // Of upper/ alone, without the name that it was opened by (it may have been made without one).
    const bool made_here = !path && deleted && host.starts_with(upper_host(""));
    if (!path && !made_here) {
      (void)fix_attr(&attr);
      return Errno(attr.stx_nlink == 0 ? ENOENT : EXDEV);
    }
    if (path) return link(*path, to, caller);
  }
  TRY(may_create(to, caller));
  if (S_ISDIR(attr.stx_mode)) return Errno(EPERM);
  TRY_ASSIGN(Node * dir, ensure_upper_dir(parent_of(to)));
  const PathAt at(layer_->upper_fd(), to);
  const auto step = [&] {
    return linkat(AT_FDCWD, host_fd.c_str(), at.dir(), at.name(), AT_SYMLINK_FOLLOW);
  };
  if (dead_of(attr)) {
    // The copy of a file of which other names are the lower's still: one more of its names.
    Meta meta = dead_.at(attr.stx_ino).meta;
    Transaction t;
    t.test = {HostTest::Kind::kIno, to, attr.stx_ino};
    t.ahead = true;
    t.records.push_back(Record::node(to, std::move(meta)));
    TRY(change(t, step));
    dead_.erase(attr.stx_ino);
    return {};
  }
  TRY(layer_->settle());
  TRY(from_libc(step()));
  made(dir, name_of(to), type_of_mode(attr.stx_mode));
  return {};
}

Result<void> CowFs::hide_position(const Place& place, Transaction* transaction) {
  if (!place.position_has_lower) return {};
  if (place.node != nullptr && (place.node->hidden || place.node->lower_absent)) return {};
  std::optional<Attr> attr;
  if (place.what == Place::What::kLower) {
    attr = place.attr;
  } else {
    auto lower = lower_->getattr(place.position_lower);
    if (lower) attr = *lower;
    if (!lower && lower.error() != Errno(ENOENT)) return lower.error();
  }
  if (attr) transaction->records.push_back(Record::hide(place.path, lower_state(*attr)));
  return {};
}

void CowFs::announce_removal(const std::string& path) {
  const Node* dir = index_.find(parent_of(path));
  if (dir == nullptr || !dir->watched) return;
  // Whoever watches the upper directory sees a file go.
  const PathAt at(layer_->upper_fd(), path);
  UniqueFd fd(openat(at.dir(), at.name(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
  if (fd) unlinkat(at.dir(), at.name(), 0);
}

Result<void> CowFs::unlink(const std::string& path, const Caller& caller) {
  const auto below = [&](FileSystem& lower) { return lower.unlink(path, caller); };
  if (auto done = in_lower({&path}, caller, below)) return *done;
  TRY_ASSIGN(Place place, look_existing(path));
  if (path.empty()) return Errno(EISDIR);
  TRY(may_remove(place, caller));
  if (place.is_dir()) return Errno(EISDIR);
  const auto last = last_name_of(place);
  TRY(remove_file(place));
  note_gone(last);
  return {};
}

Result<void> CowFs::remove_file(const Place& place) {
  const std::string& path = place.path;
  Transaction t;
  TRY(hide_position(place, &t));
  if (place.what != Place::What::kUpper) {
    TRY(ensure_upper_dir(parent_of(path)));
    TRY_ASSIGN(const Attr attr, lower_attr_of(place));
    cover(attr, false, &t);
    if (place.what == Place::What::kRef) t.records.push_back(Record::clear(path));
    TRY(change(t, nullptr));
    drop_anchor(t);
    touch(parent_of(path));
    announce_removal(path);
    return {};
  }
  const PathAt at(layer_->upper_fd(), path);
  const auto step = [&] { return unlinkat(at.dir(), at.name(), 0); };
  if (t.records.empty() && !place.node->meta) {
    TRY(layer_->settle());
    TRY(from_libc(step()));
    index_.remove(place.node);
    return {};
  }
  t.test = {HostTest::Kind::kGone, path, 0};
  t.ahead = true;  // or what the lower has by this name would come back
  t.records.push_back(Record::clear(path));
  return change(t, step);
}

Result<bool> CowFs::view_empty(const Place& place) {
  if (place.what == Place::What::kLower) {
    TRY_ASSIGN(const auto entries, lower_->list(place.lower));
    return entries.empty();
  }
  TRY(load(place.node, place.path));
  if (place.node->children) {
    for (const auto& [name, child] : *place.node->children) {
      if (child->present()) return false;
    }
  }
  if (!place.node->merged()) return true;
  TRY_ASSIGN(const auto entries, list_lower(place.node, place.lower));
  return std::all_of(entries.begin(), entries.end(), [&](const DirEntry& entry) {
    const Node* child = place.node->child(entry.name);
    return child != nullptr && child->hidden;
  });
}

Result<void> CowFs::rmdir(const std::string& path, const Caller& caller) {
  const auto below = [&](FileSystem& lower) { return lower.rmdir(path, caller); };
  if (auto done = in_lower({&path}, caller, below)) return *done;
  TRY_ASSIGN(const Place place, look_existing(path));
  if (path.empty()) return Errno(EBUSY);
  TRY(may_remove(place, caller));
  if (!place.is_dir()) return Errno(ENOTDIR);
  TRY_ASSIGN(const bool empty, view_empty(place));
  if (!empty) return Errno(ENOTEMPTY);
  const auto last = last_name_of(place);
  TRY(remove_dir(place));
  note_gone(last);
  return {};
}

Result<void> CowFs::remove_dir(const Place& place) {
  const std::string& path = place.path;
  Transaction t;
  TRY(hide_position(place, &t));
  if (place.what == Place::What::kLower) {
    TRY(ensure_upper_dir(parent_of(path)));
    TRY(change(t, nullptr));
    touch(parent_of(path));
    announce_removal(path);
    return {};
  }
  t.test = {HostTest::Kind::kGone, path, 0};
  t.records.push_back(Record::clear(path));
  const PathAt at(layer_->upper_fd(), path);
  const LockedDir locked = locked_dir(place);
  TRY(change(t, [&] { return unlinkat(at.dir(), at.name(), AT_REMOVEDIR); }));
  locked.show_mode();
  return {};
}

CowFs::LockedDir CowFs::locked_dir(const Place& place) const {
  const bool own = place.what == Place::What::kUpper && place.is_dir() && !place.node->merged();
  if (!own || !place.node->meta || !place.node->meta->mode) return {};
  const PathAt at(layer_->upper_fd(), place.path);
  return {UniqueFd(openat(at.dir(), at.name(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
          *place.node->meta->mode};
}

void CowFs::LockedDir::show_mode() const {
  if (dir) (void)fchmod(dir.get(), mode);  // that it is gone is what counts
}

Result<std::string> CowFs::watch(const std::string& path, const Caller& caller) {
  (void)caller;
  TRY_ASSIGN(const Place place, look_existing(path));
  TRY_ASSIGN(const bool below, watches_lower(place));
  if (place.is_dir() && (below || frozen())) {
    const bool own = place.what == Place::What::kUpper && !place.node->merged();
    return own ? Result<std::string>(upper_host(path)) : host_of_lower(place.lower);
  }
  if (place.is_dir()) {
    TRY_ASSIGN(Node * node, ensure_upper_dir(path));
    node->watched = true;
    return upper_host(path);
  }
  if (place.what == Place::What::kUpper) return upper_host(path);
  return host_of_lower(place.lower);
}

}  // namespace viewsh::viewfs
