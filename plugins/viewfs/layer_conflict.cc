// Whether the lower is still what a layer was built on.
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cow_host.h"
#include "host_ops.h"
#include "layer_view.h"

namespace viewsh::viewfs {
namespace {

/// Something in the tree changed after `seen` (its ctime tells).
bool tree_changed_since(const std::string& top, const FileTime& seen) {
  std::vector<std::string> todo{top};
  while (!todo.empty()) {
    const std::string path = std::move(todo.back());
    todo.pop_back();
    const auto attr = lstat_at(AT_FDCWD, path);
    // What can't be looked at may have changed.
    if (!attr && !says_gone(attr.error())) return true;
    if (!attr) continue;
    if (file_time(attr->stx_ctime) > seen) return true;
    if (!S_ISDIR(attr->stx_mode)) continue;
    const auto entries = host_ops::list_dir(path);
    if (!entries && !says_gone(entries.error())) return true;
    if (!entries) continue;
    for (const DirEntry& entry : *entries) todo.push_back(path + "/" + entry.name);
  }
  return false;
}

/// `tree`: what is below a directory counts. `exact`: of a file also what size and time of the
/// content don't tell.
std::string compare_state(const Result<Attr>& now, const LowerState& then, const std::string& host,
                          bool tree, bool exact) {
  if (!now && !says_gone(now.error())) {
    return "can't be looked at underneath: " + now.error().message();
  }
  if (!now) return "is gone underneath";
  if ((now->stx_mode & S_IFMT) != (then.mode & S_IFMT)) return "has another type underneath";
  if (now->stx_ino != then.ino) return "was replaced underneath";
  if (S_ISDIR(now->stx_mode)) {
    const bool changed = tree && tree_changed_since(host, then.seen);
    return changed ? "has changes below it underneath" : "";
  }
  if (now->stx_size != then.size || file_time(now->stx_mtime) != then.mtime) {
    return "was changed underneath";
  }
  if ((now->stx_mode & 07777u) != (then.mode & 07777u)) return "has another mode underneath";
  if (!exact) return {};
  if (now->stx_nlink != then.nlink) return "has another number of hard links underneath";
  if (file_time(now->stx_ctime) != then.ctime) {
    return "was changed underneath (its attributes, or content of the same size and time)";
  }
  return {};
}

/// The time of change and the number of names are Linux's own there, and stay when nothing is done
/// to a file. A FUSE server, a share or a FAT make them up, anew at times.
bool keeps_ctime(const std::string& host) {
  constexpr int64_t kXfs = 0x58465342, kZfs = 0x2fc12fc1, kBcachefs = 0xca451a4e;
  struct statfs fs {};
  const std::string dir(parent_of(host));
  if (statfs(LongPath(dir.empty() ? "/" : dir).c_str(), &fs) < 0) return false;
  switch (static_cast<int64_t>(fs.f_type)) {
    case EXT4_SUPER_MAGIC:  // ext2 and ext3, too
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
    case kXfs:
    case kZfs:
    case kBcachefs:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<Attr> Conflicts::look(const Node& node, const std::string& host) {
  auto known = view_.survey.lower(&node);
  return known ? std::move(*known) : near_.lstat(host);
}

/// What a file that is to be changed or deleted was when the layer built on it.
std::string Conflicts::of_file(const Result<Attr>& now, const LowerState& then,
                               const std::string& host) {
  const bool file = now && !S_ISDIR(now->stx_mode);
  const auto known = keeps_.find(then.dev);
  const bool exact =
      file && (known != keeps_.end() ? known->second
                                     : keeps_.emplace(then.dev, keeps_ctime(host)).first->second);
  return compare_state(now, then, host, true, exact);
}

/// The directory of the lower that the change goes into must be the one that the view had.
std::string Conflicts::of_directory(const Node& node) {
  const Node* dir = node.parent;
  while (dir != nullptr && !dir->merged()) dir = dir->parent;
  if (dir == nullptr || !dir->meta->origin) return {};
  if (dir == dir_) return dir_conflict_;
  const std::string host = view_.lower_host(Index::lower_path_of(dir));
  const std::string why = compare_state(dirs_.lstat(host), *dir->meta->origin, host, false, false);
  dir_ = dir;
  dir_conflict_ = why.empty() ? why : "its directory " + why;
  return dir_conflict_;
}

std::string Conflicts::of(const NodeChange& c) {
  if (c.implied) return {};
  const Node& node = *c.node;
  const std::string at = c.change.path + ": ";
  std::string why = of_directory(node);
  if (!why.empty()) return at + why;
  if (node.meta && node.meta->origin && node.present()) {
    const std::string& source = node.meta->redirect;
    const std::string& lower = source.empty() ? c.lower : source;
    if (!source.empty() || c.has_lower) {
      const std::string host = view_.lower_host(lower);
      const auto now = source.empty() ? look(node, host) : near_.lstat(host);
      why = now && S_ISDIR(now->stx_mode)
                ? compare_state(now, *node.meta->origin, host, false, false)
                : of_file(now, *node.meta->origin, host);
      if (!why.empty()) return at + why;
      if (node.merged() && node.meta->changed) {
        const bool other = now && (now->stx_mode & 07777u) != (node.meta->origin->mode & 07777u);
        if (other) return at + "has another mode underneath";
      }
    }
    if (source.empty()) return {};
  }
  if (!c.has_lower) return {};
  const std::string host = view_.lower_host(c.lower);
  if (node.hidden && node.hidden_state) {
    if (view_.sources.count(c.lower) != 0) return {};
    why = of_file(look(node, host), *node.hidden_state, host);
    if (!node.present() && why == "is gone underneath") return {};
  } else if (const auto now = look(node, host); now) {
    why = "appeared underneath";
  } else if (!says_gone(now.error())) {
    why = "can't be looked at underneath: " + now.error().message();
  }
  return why.empty() ? why : at + why;
}

}  // namespace viewsh::viewfs
