// Names of an image that can be changed. What Linux checks, in its order: fs/namei.c.
#include "writable_fs.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "image_rights.h"

namespace viewsh {
/// may_linkat() with fs.protected_hardlinks, as Debian sets it.
bool WritableImageFs::may_link(NodeId node, const Attr& attr, const Caller& caller) const {
  if (is_owner(attr, caller)) return true;
  const bool group_program = (attr.stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  return S_ISREG(attr.stx_mode) && (attr.stx_mode & S_ISUID) == 0 && !group_program &&
         allows(node, attr, R_OK | W_OK, caller);
}

namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

bool is_below(const std::string& path, const std::string& directory) {
  return directory.empty() ? !path.empty() : path.starts_with(directory + "/");
}

}  // namespace

Result<WritableImageFs::Spot> WritableImageFs::spot(const std::string& path, Hold* names) {
  const size_t slash = path.rfind('/');
  const bool top = slash == std::string::npos;
  TRY_ASSIGN(const Node directory, find(directory_of(path)));
  if (names != nullptr) {
    TRY_ASSIGN(*names, gate(directory.id, NodeGates::kNames, false));
    if (!image().knows(directory.id)) return Errno(ESTALE);
  }
  remember(directory);
  Spot spot;
  spot.directory = directory.id;
  spot.name = top ? path : path.substr(slash + 1);
  TRY_ASSIGN(spot.attr, attr_of(directory.id));
  if (!S_ISDIR(spot.attr.stx_mode)) return Errno(ENOTDIR);
  return spot;
}

/// filename_create() and may_create().
Result<WritableImageFs::Spot> WritableImageFs::free_spot(const std::string& path,
                                                         const Caller& caller, Hold* names) {
  if (path.empty()) return Errno(EEXIST);
  TRY_ASSIGN(Spot free, spot(path, names));
  const Result<NodeId> there = writable().lookup(free.directory, free.name);
  if (there) return Errno(EEXIST);
  if (!(there.error() == ENOENT)) return there.error();
  if (!allows(free.directory, free.attr, W_OK | X_OK, caller)) return Errno(EACCES);
  return free;
}

Result<WritableImageFs::Victim> WritableImageFs::named(const std::string& path, Hold* names) {
  if (path.empty()) return Errno(EBUSY);
  Victim named;
  TRY_ASSIGN(named.spot, spot(path, names));
  TRY_ASSIGN(named.node, writable().lookup(named.spot.directory, named.spot.name));
  TRY_ASSIGN(named.attr, attr_of(named.node));
  return named;
}

/// may_delete() of fs/namei.c.
Result<void> WritableImageFs::may_delete(const Victim& victim, const Caller& caller) const {
  if (!allows(victim.spot.directory, victim.spot.attr, W_OK | X_OK, caller)) return Errno(EACCES);
  const bool sticky = (victim.spot.attr.stx_mode & S_ISVTX) != 0;
  if (sticky && !is_owner(victim.attr, caller) && caller.uid != victim.spot.attr.stx_uid)
    return Errno(EPERM);
  return {};
}

Result<WritableImageFs::Victim> WritableImageFs::victim(const std::string& path,
                                                        const Caller& caller, Hold* names) {
  TRY_ASSIGN(Victim victim, named(path, names));
  TRY(may_delete(victim, caller));
  return victim;
}

Result<void> WritableImageFs::lock_victim(Victim* victim, Locks* locks) {
  if (S_ISDIR(victim->attr.stx_mode)) {
    TRY_ASSIGN(locks->inside, gate(victim->node, NodeGates::kNames, false));
  }
  TRY_ASSIGN(locks->life, hold_life(victim->node, false));
  if (locks->inside.waited() || locks->life.waited()) {
    TRY_ASSIGN(victim->attr, attr_of(victim->node));
  }
  return {};
}

/// lock_rename() of fs/namei.c
Result<WritableImageFs::Locks> WritableImageFs::lock_rename(const std::string& from,
                                                            const std::string& to) {
  Locks locks;
  if (mounted().gates == nullptr) return locks;
  const std::string old_path = directory_of(from);
  const std::string new_path = directory_of(to);
  if (old_path != new_path) {
    TRY_ASSIGN(locks.tree, gate(0, NodeGates::kTree, false));
  }
  TRY_ASSIGN(const Node old_directory, find(old_path));
  TRY_ASSIGN(const Node new_directory, find(new_path));
  const bool new_first = is_below(old_path, new_path) ||
                         (!is_below(new_path, old_path) && new_directory.id < old_directory.id);
  const NodeId first = new_first ? new_directory.id : old_directory.id;
  const NodeId second = new_first ? old_directory.id : new_directory.id;
  TRY_ASSIGN(locks.names, gate(first, NodeGates::kNames, false));
  if (second != first) {
    TRY_ASSIGN(locks.other_names, gate(second, NodeGates::kNames, false));
  }
  if (!image().knows(first) || !image().knows(second)) return Errno(ESTALE);
  return locks;
}

/// inode_init_owner() of fs/inode.c.
WritableImage::NewNode WritableImageFs::new_node(const Spot& spot, mode_t mode,
                                                 const Caller& caller) const {
  WritableImage::NewNode node;
  const bool by_acl =
      mounted().default_acls && writable().getxattr(spot.directory, "system.posix_acl_default");
  node.mode = mode & ~(S_ISLNK(mode) || by_acl ? 0U : caller.umask);
  node.uid = caller.uid;
  node.gid = caller.gid;
  if ((spot.attr.stx_mode & S_ISGID) == 0) return node;
  node.gid = spot.attr.stx_gid;
  if (S_ISDIR(mode)) {
    node.mode |= S_ISGID;
  } else if ((node.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && caller.uid != 0 &&
             !in_group(node.gid, caller)) {
    node.mode &= ~static_cast<mode_t>(S_ISGID);
  }
  return node;
}

Result<void> WritableImageFs::mkdir(const std::string& path, mode_t mode, const Caller& caller) {
  Hold names;
  TRY_ASSIGN(const Spot spot, free_spot(path, caller, &names));
  const mode_t kept = S_IRWXU | S_IRWXG | S_IRWXO | S_ISVTX;
  TRY_ASSIGN(const NodeId made, writable().mkdir(spot.directory, spot.name,
                                                 new_node(spot, S_IFDIR | (mode & kept), caller)));
  const Place place{spot.directory, spot.name};
  remember({made, place});
  stage().added({place, made, true});
  return {};
}

Result<void> WritableImageFs::mknod(const std::string& path, mode_t mode, dev_t dev,
                                    const Caller& caller) {
  Hold names;
  TRY_ASSIGN(const Spot spot, free_spot(path, caller, &names));
  if ((mode & S_IFMT) == 0) mode |= S_IFREG;
  if ((S_ISCHR(mode) || S_ISBLK(mode)) && caller.uid != 0) return Errno(EPERM);
  WritableImage::NewNode node = new_node(spot, mode, caller);
  node.rdev = S_ISCHR(mode) || S_ISBLK(mode) ? dev : 0;
  TRY_ASSIGN(const NodeId made, writable().mknod(spot.directory, spot.name, node));
  if (mounted().hears != nullptr) mounted().hears->closed(made);
  const Place place{spot.directory, spot.name};
  remember({made, place});
  stage().added({place, made});
  return {};
}

Result<void> WritableImageFs::symlink(const std::string& path, const std::string& target,
                                      const Caller& caller) {
  Hold names;
  TRY_ASSIGN(const Spot spot, free_spot(path, caller, &names));
  TRY_ASSIGN(const NodeId made, writable().symlink(spot.directory, spot.name, target,
                                                   new_node(spot, S_IFLNK | 0777, caller)));
  const Place place{spot.directory, spot.name};
  remember({made, place});
  stage().added({place, made});
  return {};
}

Result<void> WritableImageFs::link(const std::string& from, const std::string& to,
                                   const Caller& caller) {
  TRY_ASSIGN(const Node node, find(from));
  remember(node);
  return link_node(node, to, caller);
}

Result<void> WritableImageFs::link_node(const Node& node, const std::string& to,
                                        const Caller& caller) {
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  Hold names;
  TRY_ASSIGN(const Spot spot, free_spot(to, caller, &names));
  if (!may_link(node.id, attr, caller) || S_ISDIR(attr.stx_mode)) return Errno(EPERM);
  TRY_ASSIGN(const Hold life, hold_life(node.id, true));
  const auto nameless = mounted().nameless.find(node.id);
  const bool had_none = nameless != mounted().nameless.end();
  if (had_none && !nameless->second) return Errno(ENOENT);  // O_EXCL
  TRY(writable().link(node.id, spot.directory, spot.name));
  const Place place{spot.directory, spot.name};
  remember({node.id, place});
  stage().added({place, node.id, false, !had_none}, node.place);
  if (!had_none) return {};
  mounted().nameless.erase(node.id);
  return writable().release(node.id);
}

Result<void> WritableImageFs::link_host(const std::string& host_fd, const std::string& to,
                                        const Caller& caller) {
  Attr native = {};
  if (::statx(AT_FDCWD, host_fd.c_str(), 0, STATX_BASIC_STATS, &native) < 0) return Errno::last();
  const std::optional<NodeId> node = stage().node_of(native);
  if (node) return link_node({*node, {}}, to, caller);
  if (stage().ghost_of(native) == nullptr) return Errno(EXDEV);
  return Errno(S_ISDIR(native.stx_mode) ? EPERM : ENOENT);
}

void WritableImageFs::gone(const Victim& victim, const std::string& path, bool held) {
  const NodeId node = victim.node;
  const Attr& attr = victim.attr;
  ImageStage::Ghost last;
  last.node = node;
  last.attr = attr;
  last.attr.stx_nlink = 0;
  last.root = top();
  last.path = path;
  last.seat = stage().seat({victim.spot.directory, victim.spot.name});
  last.held = held;
  const bool open = held || !S_ISREG(attr.stx_mode) || stage().pinned(node);
  stage().forget(node, open ? &last : nullptr);
  pending().forget(node);
  mounted().places.erase(node);
  mounted().open.erase(node);
  if (!held && mounted().hears != nullptr) mounted().hears->closed(node);
}

/// What is in use lives on without a name, as far as the image is concerned, too: its number isn't
/// another's before it is closed. settle()
Result<bool> WritableImageFs::hold_used(NodeId node, const Attr& attr) {
  if (!S_ISREG(attr.stx_mode) || !stage().in_use(node)) return false;
  TRY(writable().hold(node));
  return true;
}

/// A name went, or leads elsewhere now.
void WritableImageFs::leave(const Victim& victim) {
  mounted().places.remove(victim.node, {victim.spot.directory, victim.spot.name});
}

Result<void> WritableImageFs::unlink(const std::string& path, const Caller& caller) {
  Locks locks;
  TRY_ASSIGN(Victim victim, this->victim(path, caller, &locks.names));
  if (S_ISDIR(victim.attr.stx_mode)) return Errno(EISDIR);
  TRY(lock_victim(&victim, &locks));
  const bool last = victim.attr.stx_nlink <= 1;
  bool held = false;
  if (last) {
    TRY_ASSIGN(held, hold_used(victim.node, victim.attr));
  }
  if (!held) end_open(victim.node);
  const auto done = writable().unlink(victim.spot.directory, victim.spot.name);
  if (!done && held) TRY(writable().release(victim.node));
  TRY(done);
  leave(victim);
  if (last) gone(victim, path, held);
  stage().removed(name_of(victim));
  return {};
}

Result<void> WritableImageFs::rmdir(const std::string& path, const Caller& caller) {
  Locks locks;
  TRY_ASSIGN(Victim victim, this->victim(path, caller, &locks.names));
  if (S_ISDIR(victim.attr.stx_mode)) TRY(lock_victim(&victim, &locks));
  TRY(writable().rmdir(victim.spot.directory, victim.spot.name));
  gone(victim, path, false);
  stage().removed(name_of(victim));
  return {};
}

/// vfs_rename(): of a directory that gets another parent `..` is written.
Result<void> WritableImageFs::rename(const std::string& from, const std::string& to, unsigned flags,
                                     const Caller& caller) {
  if (from.empty() || to.empty()) return Errno(EBUSY);
  TRY_ASSIGN(Locks locks, lock_rename(from, to));
  TRY_ASSIGN(const Victim moved, named(from));
  TRY_ASSIGN(const Spot spot, this->spot(to));
  const Result<NodeId> there = writable().lookup(spot.directory, spot.name);
  if (!there && !(there.error() == ENOENT)) return there.error();
  // What is there counts before what is allowed: do_renameat2(), vfs_rename().
  if (there && (flags & RENAME_NOREPLACE) != 0) return Errno(EEXIST);
  if (!there && (flags & RENAME_EXCHANGE) != 0) return Errno(ENOENT);
  if (there && *there == moved.node) return {};
  TRY(may_delete(moved, caller));
  std::optional<Victim> replaced;
  if (there) {
    TRY_ASSIGN(replaced, victim(to, caller));
  } else if (!allows(spot.directory, spot.attr, W_OK | X_OK, caller)) {
    return Errno(EACCES);
  }
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  if (replaced && !exchange && S_ISDIR(moved.attr.stx_mode) != S_ISDIR(replaced->attr.stx_mode))
    return Errno(S_ISDIR(moved.attr.stx_mode) ? ENOTDIR : EISDIR);
  const bool elsewhere = spot.directory != moved.spot.directory;
  const auto stays = [&](const Victim& name) {
    return elsewhere && S_ISDIR(name.attr.stx_mode) && !allows(name.node, name.attr, W_OK, caller);
  };
  if (stays(moved) || (exchange && replaced && stays(*replaced))) return Errno(EACCES);
  // What it would be below of is refused.
  if (replaced && !exchange && !is_below(from, to)) TRY(lock_victim(&*replaced, &locks));
  const bool last =
      replaced && !exchange && (replaced->attr.stx_nlink <= 1 || S_ISDIR(replaced->attr.stx_mode));
  // As with auto_da_alloc of ext4(5): what takes another one's name has its content by then, so
  // that a crash leaves one of both. Servers have had it since close(2).
  const bool takes_over = replaced && !exchange && S_ISREG(moved.attr.stx_mode);
  if (takes_over && mounted().hears == nullptr) TRY(pending().write_back(moved.node));
  bool held = false;
  if (last) {
    TRY_ASSIGN(held, hold_used(replaced->node, replaced->attr));
  }
  if (replaced && !exchange && !held) end_open(replaced->node);
  const auto done =
      writable().rename(moved.spot.directory, moved.spot.name, spot.directory, spot.name, flags);
  if (!done && held) TRY(writable().release(replaced->node));
  TRY(done);
  leave(moved);
  if (replaced) leave(*replaced);
  if (last) gone(*replaced, to, held);
  const ImageStage::Name other = replaced ? name_of(*replaced) : ImageStage::Name();
  stage().moved(name_of(moved), {spot.directory, spot.name}, exchange ? &other : nullptr);
  remember({moved.node, {spot.directory, spot.name}});
  if (exchange && replaced) remember({replaced->node, {moved.spot.directory, moved.spot.name}});
  // What a program is called when it runs; where that fails it has the old name.
  (void)stage().renamed(moved.node, moved.attr, spot.name);
  return {};
}

Result<struct statfs> WritableImageFs::statfs(const std::string& path) {
  // What can't be written is told by fsync(2).
  (void)settle();
  TRY_ASSIGN(struct statfs out, ImageFs::statfs(path));
  out.f_flags &= ~static_cast<__fsword_t>(ST_RDONLY);
  return out;
}

Result<std::shared_ptr<FileSystem>> WritableImageFs::subtree(const std::string& path) {
  TRY_ASSIGN(const Node node, find(path));
  remember(node);
  return std::shared_ptr<FileSystem>(std::make_shared<WritableImageFs>(shared(), node.id));
}

/// What a directory holds, as far as its watchers will hear of it by name. The numbers in a list of
/// a server's are none that it answers to: there those that were looked up count.
Result<std::vector<ImageStage::Name>> WritableImageFs::names_in(NodeId directory) {
  TRY_ASSIGN(const std::vector<DirEntry> entries, writable().list(directory));
  const bool by_number = mounted().hears == nullptr;
  std::unordered_map<std::string, NodeId> known;
  for (const NodeId node : by_number ? std::vector<NodeId>() : stage().staged()) {
    const Place* place = mounted().places.of(node);
    if (place != nullptr && place->parent == directory) known[place->name] = node;
  }
  std::vector<ImageStage::Name> names;
  for (const DirEntry& entry : entries) {
    ImageStage::Name name{{directory, entry.name}, by_number ? entry.ino : 0};
    if (const auto node = known.find(entry.name); node != known.end()) name.node = node->second;
    name.directory = entry.type == NodeType::kDirectory;
    if (entry.type == NodeType::kUnknown || (by_number && !name.directory)) {
      Result<NodeId> node = name.node;
      if (name.node == 0) node = writable().lookup(directory, entry.name);
      // What went meanwhile isn't there, and what can't be looked at stays as it is.
      const auto attr = node ? writable().getattr(*node) : Result<Attr>(node.error());
      if (!attr && attr.error() == ENOENT) continue;
      name.directory = attr && S_ISDIR(attr->stx_mode);
      name.linked = by_number && attr && S_ISREG(attr->stx_mode) && attr->stx_nlink > 1;
    }
    names.push_back(std::move(name));
  }
  return names;
}

Result<std::string> WritableImageFs::watch(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(std::string host, ImageFs::watch(path, caller));
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  if (S_ISDIR(attr.stx_mode) && !stage().watched(node.id)) {
    TRY_ASSIGN(const auto names, names_in(node.id));
    TRY(stage().watch(node.id, names));
  }
  stage().hear(node.id);
  return host;
}

uint64_t WritableImageFs::reserve(uint64_t bytes) { return pending().reserve(bytes); }

/// What can't be given back is so when the image is closed.
void WritableImageFs::forget_nameless(NodeId node) {
  mounted().nameless.erase(node);
  stage().forget(node, nullptr);
  pending().forget(node);
  (void)writable().release(node);
}

Result<void> WritableImageFs::settle() {
  std::vector<NodeId> ended;
  for (const auto& [node, may_get_name] : mounted().nameless) {
    const bool used = mounted().planned.count(node) != 0 || stage().in_use(node);
    if (!used) ended.push_back(node);
  }
  for (const NodeId node : ended) {
    if (mounted().nameless.count(node) != 0) forget_nameless(node);
  }
  Result<void> first = pending().settle();
  for (const NodeId node : stage().ended()) {
    const Result<void> released = writable().release(node);
    if (!released && first) first = released;
  }
  return first;
}

bool WritableImageFs::asks_where(const std::string& host) {
  const std::optional<NodeId> node = stage().node_at(host);
  return node && pending().asks_where(*node);
}

void WritableImageFs::writing(const std::string& host, const PlannedWrite& write) {
  if (const auto node = stage().node_at(host)) pending().writing(*node, write);
}

Result<void> WritableImageFs::sync_names(const std::string& host) {
  if (host.empty()) return sync_all();
  const std::optional<NodeId> node = stage().node_at(host);
  if (!node) return {};
  TRY(pending().write_back(*node));
  TRY(pending().write_back_cut());
  return writable().sync();
}

Result<void> WritableImageFs::sync_all() {
  const Result<void> written = settle();
  const Result<void> synced = writable().sync();
  return written ? synced : written;
}

Result<void> WritableImageFs::shutdown() {
  if (mounted().closed) return {};
  mounted().closed = true;
  const Result<void> written = pending().finish();
  const Result<void> closed = writable().close();
  return written ? closed : written;
}

}  // namespace viewsh
