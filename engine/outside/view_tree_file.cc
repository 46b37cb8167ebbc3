// Files that are open.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/deep_path.h"
#include "outside/view_tree.h"
#include "viewsh/long_path.h"

namespace viewsh {

namespace {

constexpr unsigned kDirtyMask = O_DIRECT | O_NOCTTY | O_LARGEFILE;

std::string link_of(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace

/// open(2) as the file system plans it, with the umask of whoever asked.
Result<UniqueFd> ViewTree::open_planned(const Place& place, int flags, mode_t mode) {
  // The server's buffers are no place for direct input and output.
  OpenHow how{static_cast<int>(static_cast<unsigned>(flags) & ~kDirtyMask), mode,
              NodeType::kRegular};
  TRY_ASSIGN(const OpenPlan plan, place.fs().plan_open(place.path, how, caller_));
  const mode_t before = umask(caller_.umask);
  UniqueFd fd(::open(LongPath(plan.host).c_str(), plan.flags | O_CLOEXEC, plan.mode));
  const Errno error = fd ? Errno() : Errno::last();
  umask(before);
  if ((plan.flags & O_CREAT) != 0) cache_->clear();
  if (plan.notify) place.fs().opened(place.path, plan, fd.valid());
  if (!fd) return error;
  return fd;
}

OpenNode* ViewTree::add_file(UniqueFd fd, ServedNode* node, const Place& place, int flags) {
  auto file = std::make_unique<OpenNode>();
  file->descriptor = std::move(fd);
  file->node = node;
  file->mount = place.mount;
  file->flags = flags & ~(O_CREAT | O_EXCL | O_TRUNC);
  file->append = (flags & O_APPEND) != 0;
  // Pages that were mapped are written where they belong. A file that can only be appended to
  // (chattr +a) keeps the flag, and mapping it for writing is refused.
  const int now = fcntl(file->fd(), F_GETFL);
  if (file->append && now >= 0) (void)fcntl(file->fd(), F_SETFL, now & ~O_APPEND);
  OpenNode* out = file.get();
  node->files.push_back(out);
  files_.emplace(out, std::move(file));
  return out;
}

Result<ServedFile*> ViewTree::open(ServedId id, int flags) {
  TRY_ASSIGN(ServedNode * node, node_of(id));
  const Result<Place> place = place_of(*node);
  if (!place) {
    // By a link of /proc, say, of what is open already and has no name any more.
    const bool reads = (flags & O_ACCMODE) == O_RDONLY && (flags & O_TRUNC) == 0;
    auto same = std::find_if(node->files.begin(), node->files.end(),
                             [&](const OpenNode* open) { return reads || open->writes(); });
    if (same == node->files.end()) return Errno(ESTALE);
    UniqueFd fd(::open(link_of((*same)->fd()).c_str(), (flags & ~O_NOFOLLOW) | O_CLOEXEC));
    if (!fd) return Errno::last();
    const Place of_open{(*same)->mount, "", ""};
    return static_cast<ServedFile*>(add_file(std::move(fd), node, of_open, flags));
  }
  TRY_ASSIGN(UniqueFd fd, open_planned(*place, flags, 0));
  OpenNode* file = add_file(std::move(fd), node, *place, flags);
  refresh(node);
  return static_cast<ServedFile*>(file);
}

Result<ServedEntry> ViewTree::create(ServedId parent, const std::string& name, int flags,
                                     mode_t mode, ServedFile** file) {
  TRY_ASSIGN(const Place place, place_in(parent, name));
  TRY_ASSIGN(UniqueFd fd, open_planned(place, flags, mode));
  TRY_ASSIGN(const ServedEntry entry, entry_of(parent, name, place));
  ServedNode* node = nodes_.find(entry.id);
  *file = add_file(std::move(fd), node, place, flags);
  refresh(node);
  return entry;
}

void ViewTree::close(ServedFile* served) {
  auto* file = static_cast<OpenNode*>(served);
  ServedNode* node = file->node;
  std::erase(node->files, file);
  files_.erase(file);
  nodes_.settle(node);
}

/// The kernel keeps one cache of a file, whichever descriptor it reads by: those that are open on
/// the lower file follow the copy.
void ViewTree::refresh(ServedNode* node) {
  if (node == nullptr || node->directory) return;
  const bool any = std::any_of(node->files.begin(), node->files.end(),
                               [](const OpenNode* file) { return !file->writes(); });
  const Result<Place> place = any ? place_of(*node) : Result<Place>(Errno(ENOENT));
  if (!place) return;
  const Result<Attr> attr = place->fs().getattr(place->path);
  const Result<Found> found = look(*place);
  struct stat now {};
  if (!attr || key_of(*place, *attr) != node->key || !found || found->deferred ||
      found->host.empty() || stat(LongPath(found->host).c_str(), &now) < 0)
    return;
  for (OpenNode* file : node->files) {
    // Where that fails (EMFILE, a mode that was changed), it goes on with what was there when it
    // was opened, as with overlayfs: nobody waits for an answer here.
    if (!file->writes()) (void)reopen(file, *place, now);
  }
}

Result<void> ViewTree::reopen(OpenNode* file, const Place& place, const struct stat& now) {
  struct stat open_on {};
  TRY(from_libc(fstat(file->fd(), &open_on)));
  if (open_on.st_dev == now.st_dev && open_on.st_ino == now.st_ino) return {};
  TRY_ASSIGN(const UniqueFd fd, open_planned(place, file->flags, 0));
  return from_libc(dup3(fd.get(), file->fd(), O_CLOEXEC));
}

Result<uint64_t> ViewTree::reserve(ServedFile* served, uint64_t bytes) {
  FileSystem& fs = *static_cast<OpenNode*>(served)->mount->fs;
  if (!fs.quota()) return bytes;
  const uint64_t fits = fs.reserve(bytes);
  if (fits == 0 && bytes > 0) return Errno(ENOSPC);
  return std::min(fits, bytes);
}

Result<void> ViewTree::sync(ServedFile* file, bool data_only) {
  TRY_ASSIGN(const std::string host, path_of_directory(link_of(file->fd())));
  for (const auto& mount : view_->mounts()) {
    if (mount->fs->keeps()) TRY(mount->fs->sync_names(host));
  }
  return from_libc(data_only ? fdatasync(file->fd()) : fsync(file->fd()));
}

Result<void> ViewTree::sync_directory(ServedId id) {
  TRY_ASSIGN(const Place place, place_of(id));
  TRY_ASSIGN(const Found found, look(place));
  for (const auto& mount : view_->mounts()) {
    if (mount->fs->keeps()) TRY(mount->fs->sync_names(found.host));
  }
  const UniqueFd fd(::open(LongPath(found.host).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return Errno::last();
  return from_libc(fsync(fd.get()));
}

}  // namespace viewsh
