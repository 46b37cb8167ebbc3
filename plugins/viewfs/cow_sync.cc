#include <fcntl.h>
#include <unistd.h>

#include "cow_fs.h"

namespace viewsh::viewfs {

// fsync(2) of a file makes the kernel write the inode in upper/. That it is found there takes more:
// the lines of the log, and the names in the directories that lead to it.

/// Every directory of upper/ from that of the name `path` up to the layer's.
Result<void> CowFs::sync_dirs(std::string_view path) {
  while (!path.empty()) {
    path = parent_of(path);
    std::string dir(path);
    if (synced_.count(dir) != 0) continue;
    const PathAt at(layer_->upper_fd(), dir.empty() ? "." : dir);
    const UniqueFd fd(openat(at.dir(), at.name(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // What isn't in upper/ is the lower's, and was there before.
    if (!fd && errno != ENOENT && errno != ENOTDIR) return Errno::last();
    if (fd) TRY(from_libc(fsync(fd.get())));
    synced_.insert(std::move(dir));
  }
  return {};
}

Result<void> CowFs::sync_all() {
  if (!keeps()) return {};
  TRY(layer_->sync());
  return from_libc(syncfs(layer_->upper_fd()));
}

Result<void> CowFs::sync_names(const std::string& host) {
  if (!keeps()) return {};
  TRY(layer_->sync());
  if (synced_at_ != layer_->generation()) {
    synced_.clear();
    all_synced_ = false;
    synced_at_ = layer_->generation();
  }
  if (all_synced_) return {};
  if (host.empty()) {
    TRY(sync_all());
    all_synced_ = true;
    return {};
  }
  const auto path = reverse(host);
  if (!path) return {};  // of another file system, or without a name
  const Node* node = index_.find(*path);
  // A merged directory is open as the lower's: its names in upper/ are not the kernel's to write.
  return sync_dirs(node != nullptr && node->is_dir() ? join(*path, ".") : *path);
}

Result<void> CowFs::sync_opened(const std::string& path, int flags) {
  if ((flags & O_DSYNC) == 0 || !keeps()) return {};
  return sync_names(upper_host(path));
}

}  // namespace viewsh::viewfs
