// Names that are made and removed, and attributes.
#include <sys/stat.h>
#include <unistd.h>

#include "base/deep_path.h"
#include "base/path.h"
#include "outside/view_tree.h"

namespace viewsh {

Result<ServedEntry> ViewTree::mknod(ServedId parent, const std::string& name, mode_t mode,
                                    dev_t dev) {
  TRY_ASSIGN(const Place place, new_place(parent, name));
  TRY(place.fs().mknod(place.path, mode, dev, caller_));
  return entry_of(parent, name, place);
}

Result<ServedEntry> ViewTree::mkdir(ServedId parent, const std::string& name, mode_t mode) {
  TRY_ASSIGN(const Place place, new_place(parent, name));
  TRY(place.fs().mkdir(place.path, mode, caller_));
  return entry_of(parent, name, place);
}

Result<ServedEntry> ViewTree::symlink(ServedId parent, const std::string& name,
                                      const std::string& target) {
  TRY_ASSIGN(const Place place, new_place(parent, name));
  TRY(place.fs().symlink(place.path, target, caller_));
  return entry_of(parent, name, place);
}

Result<ServedEntry> ViewTree::link(ServedId id, ServedId parent, const std::string& name) {
  TRY_ASSIGN(const Place from, place_of(id));
  TRY_ASSIGN(const Place to, new_place(parent, name));
  if (from.mount != to.mount) return Errno(EXDEV);
  TRY(from.fs().link(from.path, to.path, caller_));
  refresh(nodes_.find(id));
  return entry_of(parent, name, to);
}

/// What it was like when it had a name is all that is known of a node that nobody has open.
void ViewTree::lost_name(ServedNode* node, const std::optional<Attr>& before) {
  if (node == nullptr) return;
  if (node->names.empty() && before) {
    node->last = before;
    if (node->directory || node->last->stx_nlink == 0) {
      node->last->stx_nlink = 0;
    } else {
      --node->last->stx_nlink;
    }
  }
  nodes_.settle(node);
}

Result<void> ViewTree::remove_name(ServedId parent, const std::string& name, const Place& place,
                                   bool directory) {
  const Result<Attr> attr = place.fs().getattr(place.path);
  TRY(directory ? place.fs().rmdir(place.path, caller_) : place.fs().unlink(place.path, caller_));
  lost_name(nodes_.remove(nodes_.find(parent), name),
            attr ? std::optional<Attr>(*attr) : std::nullopt);
  return {};
}

Result<void> ViewTree::unlink(ServedId parent, const std::string& name) {
  TRY_ASSIGN(const Place place, place_in(parent, name));
  if (view_->is_mount_point(place.view_path)) return Errno(EBUSY);
  return remove_name(parent, name, place, false);
}

Result<void> ViewTree::rmdir(ServedId parent, const std::string& name) {
  TRY_ASSIGN(const Place place, place_in(parent, name));
  if (view_->has_mount_at_or_below(place.view_path)) return Errno(EBUSY);
  return remove_name(parent, name, place, true);
}

Result<void> ViewTree::rename(ServedId from_parent, const std::string& name, ServedId to_parent,
                              const std::string& new_name, unsigned flags) {
  constexpr unsigned kExchange = 2;
  TRY_ASSIGN(const Place from, place_in(from_parent, name));
  TRY_ASSIGN(const Place to, place_in(to_parent, new_name));
  // do_renameat2() of fs/namei.c compares where the names are, not what is mounted on them.
  const auto mount_of = [&](const Place& place) {
    return view_->locate(parent_path(place.view_path)).mount;
  };
  if (mount_of(from) != mount_of(to)) return Errno(EXDEV);
  if (view_->has_mount_at_or_below(from.view_path) || view_->has_mount_at_or_below(to.view_path))
    return Errno(EBUSY);
  const Result<Attr> replaced = to.fs().getattr(to.path);
  TRY(from.fs().rename(from.path, to.path, flags, caller_));
  ServedNode* lost = nodes_.rename(nodes_.find(from_parent), name, nodes_.find(to_parent), new_name,
                                   (flags & kExchange) != 0);
  lost_name(lost, replaced ? std::optional<Attr>(*replaced) : std::nullopt);
  const auto moved = nodes_.find(to_parent)->children.find(new_name);
  if (moved != nodes_.find(to_parent)->children.end()) refresh(moved->second);
  return {};
}

namespace {

Result<void> set_open(int fd, const SetAttr& set) {
  if (set.uid || set.gid) {
    TRY(from_libc(fchown(fd, set.uid.value_or(static_cast<uid_t>(-1)),
                         set.gid.value_or(static_cast<gid_t>(-1)))));
  }
  if (set.mode) TRY(from_libc(fchmod(fd, *set.mode)));
  if (set.size) TRY(from_libc(ftruncate(fd, static_cast<off_t>(*set.size))));
  if (set.atime || set.mtime) {
    const timespec omit{0, UTIME_OMIT};
    const timespec times[2] = {set.atime.value_or(omit), set.mtime.value_or(omit)};
    TRY(from_libc(futimens(fd, times)));
  }
  return {};
}

}  // namespace

/// A node without a name is changed by what is open on it, unless that is a file of a lower tree
/// which still has its name there.
Result<void> ViewTree::set_nameless(ServedNode& node, const SetAttr& set) {
  const OpenNode* file = nullptr;
  for (const OpenNode* open : node.files) {
    if (file == nullptr || open->writes()) file = open;
  }
  if (file == nullptr) return Errno(ESTALE);
  struct stat st {};
  TRY(from_libc(fstat(file->fd(), &st)));
  if (!file->writes() && st.st_nlink > 0) {
    TRY_ASSIGN(const std::string host,
               path_of_directory("/proc/self/fd/" + std::to_string(file->fd())));
    if (!view_->owns(host, st, true)) return Errno(EROFS);
  }
  return set_open(file->fd(), set);
}

Result<Attr> ViewTree::setattr(ServedId id, const SetAttr& set, ServedFile* file) {
  TRY_ASSIGN(ServedNode * node, node_of(id));
  const Result<Place> place = place_of(*node);
  if (!place) {
    TRY(set_nameless(*node, set));
    return nameless_attr(*node);
  }
  SetAttr rest = set;
  // Who has it open for writing may do that whatever its permissions are by now. ftruncate(2)
  if (set.size && file != nullptr && static_cast<OpenNode*>(file)->writes()) {
    SetAttr size;
    size.size = set.size;
    TRY(set_open(file->fd(), size));
    rest.size.reset();
  }
  if (rest.mode || rest.uid || rest.gid || rest.size || rest.atime || rest.mtime) {
    TRY(place->fs().setattr(place->path, rest, caller_));
    refresh(node);
  }
  return getattr(id);
}

}  // namespace viewsh
