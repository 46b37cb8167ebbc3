#include "vfs/view_fs.h"

#include <algorithm>

#include "base/path.h"

namespace viewsh {

void correct_listing(const View& view, std::string_view view_dir, std::vector<DirEntry>* entries) {
  const View::Node* node = view.node_at(view_dir);
  if (node == nullptr) return;
  for (const MountName& fix : node->names) {
    auto it = std::find_if(entries->begin(), entries->end(),
                           [&](const DirEntry& entry) { return entry.name == fix.name; });
    if (fix.hidden) {
      if (it != entries->end()) entries->erase(it);
      continue;
    }
    if (it != entries->end()) continue;
    uint64_t ino = 1;
    auto child = node->children.find(fix.name);
    // A server is not asked: who lists the directory that its mount is in doesn't wait for it.
    if (child != node->children.end() && child->second->mount &&
        !child->second->mount->fs->waits("", false)) {
      Result<Attr> attr = child->second->mount->fs->getattr("");
      if (attr.ok()) ino = attr->stx_ino;
    }
    entries->push_back({fix.name, ino, fix.type});
  }
}

Location ViewFs::at(const std::string& path) const {
  return view_->locate(join_path(prefix_, path));
}

Result<Found> ViewFs::resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                              const Caller& caller) {
  std::string dir = join_path(prefix_, base);
  const View::Node* node = view_->node_at(dir);
  size_t cut = std::string_view::npos;
  const View::Node* hit = nullptr;
  for (size_t i = 0; node != nullptr && i < rest.size();) {
    size_t end = std::min(rest.find('/', i), rest.size());
    auto it = node->children.find(rest.substr(i, end - i));
    if (it == node->children.end()) break;
    node = it->second.get();
    if (node->mount) {
      hit = node;
      cut = end;
    }
    i = end + 1;
  }
  bool altered = false;
  if (const View::Node* exact = view_->node_at(join_path(dir, rest)))
    altered = !exact->names.empty();
  Result<Found> found = [&]() -> Result<Found> {
    if (hit == nullptr) {
      Location here = view_->locate(dir);
      return here.mount->fs->resolve(here.path, rest, flags, caller);
    }
    std::string_view inner = cut < rest.size() ? rest.substr(cut + 1) : std::string_view();
    Result<Found> below = hit->mount->fs->resolve("", inner, flags, caller);
    if (below.ok()) below->consumed += rest.size() - inner.size();
    return below;
  }();
  if (found.ok() && altered && found->kind == Found::Kind::kNode) found->list_virtual = true;
  return found;
}

Result<Attr> ViewFs::getattr(const std::string& path) {
  Location here = at(path);
  return here.mount->fs->getattr(here.path);
}

Result<std::vector<DirEntry>> ViewFs::list(const std::string& path) {
  Location here = at(path);
  TRY_ASSIGN(std::vector<DirEntry> entries, here.mount->fs->list(here.path));
  correct_listing(*view_, join_path(prefix_, path), &entries);
  return entries;
}

std::optional<std::string> ViewFs::reverse(const std::string& host) {
  std::optional<std::string> path = view_->reverse(host);
  if (!path || !is_at_or_below(*path, prefix_)) return std::nullopt;
  return std::string(below_of(*path, prefix_));
}

bool ViewFs::waits(std::string_view path, bool below) const {
  const std::string full = join_path(prefix_, path);
  const Location here = view_->locate(full);
  if (here.mount->fs->waits(here.path, below)) return true;
  const auto& mounts = view_->mounts();
  return below && std::any_of(mounts.begin(), mounts.end(), [&](const auto& mount) {
           return mount->fs && is_at_or_below(mount->at, full) && mount->fs->waits("", true);
         });
}

bool ViewFs::waits_for(const Attr& object) const {
  const auto& mounts = view_->mounts();
  return std::any_of(mounts.begin(), mounts.end(),
                     [&](const auto& mount) { return mount->fs && mount->fs->waits_for(object); });
}

Result<OpenPlan> ViewFs::plan_open(const std::string& path, const OpenHow& how,
                                   const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->plan_open(here.path, how, caller);
}

void ViewFs::opened(const std::string& path, const OpenPlan& plan, bool success) {
  Location here = at(path);
  here.mount->fs->opened(here.path, plan, success);
}

Result<void> ViewFs::mkdir(const std::string& path, mode_t mode, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->mkdir(here.path, mode, caller);
}

Result<void> ViewFs::mknod(const std::string& path, mode_t mode, dev_t dev, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->mknod(here.path, mode, dev, caller);
}

Result<void> ViewFs::symlink(const std::string& path, const std::string& target,
                             const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->symlink(here.path, target, caller);
}

Result<void> ViewFs::link(const std::string& from, const std::string& to, const Caller& caller) {
  Location source = at(from);
  Location target = at(to);
  if (source.mount != target.mount) return Errno(EXDEV);
  return source.mount->fs->link(source.path, target.path, caller);
}

Result<void> ViewFs::link_host(const std::string& host_fd, const std::string& to,
                               const Caller& caller) {
  Location here = at(to);
  return here.mount->fs->link_host(host_fd, here.path, caller);
}

Result<void> ViewFs::unlink(const std::string& path, const Caller& caller) {
  if (view_->is_mount_point(join_path(prefix_, path))) return Errno(EBUSY);
  Location here = at(path);
  return here.mount->fs->unlink(here.path, caller);
}

Result<void> ViewFs::rmdir(const std::string& path, const Caller& caller) {
  if (view_->has_mount_at_or_below(join_path(prefix_, path))) return Errno(EBUSY);
  Location here = at(path);
  return here.mount->fs->rmdir(here.path, caller);
}

Result<void> ViewFs::rename(const std::string& from, const std::string& to, unsigned flags,
                            const Caller& caller) {
  if (view_->has_mount_at_or_below(join_path(prefix_, from)) ||
      view_->has_mount_at_or_below(join_path(prefix_, to))) {
    return Errno(EBUSY);
  }
  Location source = at(from);
  Location target = at(to);
  if (source.mount != target.mount) return Errno(EXDEV);
  return source.mount->fs->rename(source.path, target.path, flags, caller);
}

Result<void> ViewFs::setattr(const std::string& path, const SetAttr& set, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->setattr(here.path, set, caller);
}

Result<void> ViewFs::setxattr(const std::string& path, const std::string& name,
                              std::string_view value, int flags, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->setxattr(here.path, name, value, flags, caller);
}

Result<void> ViewFs::removexattr(const std::string& path, const std::string& name,
                                 const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->removexattr(here.path, name, caller);
}

bool ViewFs::own_meta() const {
  const auto& mounts = view_->mounts();
  return std::any_of(mounts.begin(), mounts.end(),
                     [](const auto& mount) { return mount->fs && mount->fs->own_meta(); });
}

Result<FileFlags> ViewFs::getflags(const std::string& path) {
  Location here = at(path);
  return here.mount->fs->getflags(here.path);
}

Result<void> ViewFs::setflags(const std::string& path, const FileFlags& set, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->setflags(here.path, set, caller);
}

Result<std::string> ViewFs::getxattr(const std::string& path, const std::string& name,
                                     const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->getxattr(here.path, name, caller);
}

Result<std::vector<std::string>> ViewFs::listxattr(const std::string& path, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->listxattr(here.path, caller);
}

Result<void> ViewFs::permits(const std::string& path, int want, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->permits(here.path, want, caller);
}

Result<struct statfs> ViewFs::statfs(const std::string& path) {
  Location here = at(path);
  return here.mount->fs->statfs(here.path);
}

Result<std::string> ViewFs::watch(const std::string& path, const Caller& caller) {
  Location here = at(path);
  return here.mount->fs->watch(here.path, caller);
}

bool ViewFs::keeps() const {
  const auto& entries = view_->entries();
  return std::any_of(entries.begin(), entries.end(), [](const View::Entry& one) {
    return one.mount->fs && one.mount->own_fs()->keeps();
  });
}

void ViewFs::writing(const std::string& host, const PlannedWrite& write) {
  for (const View::Entry& entry : view_->entries()) {
    if (!entry.mount->fs) continue;
    FileSystem& fs = *entry.mount->own_fs();
    if (fs.quota() && fs.keeps()) fs.writing(host, write);
  }
}

Result<void> ViewFs::sync_names(const std::string& host) {
  for (const View::Entry& entry : view_->entries()) {
    if (!entry.mount->fs) continue;
    FileSystem& fs = *entry.mount->own_fs();
    if (fs.keeps() && fs.reverse(host)) TRY(fs.sync_names(host));
  }
  return {};
}

Result<std::shared_ptr<FileSystem>> ViewFs::subtree(const std::string& path) {
  std::string full = join_path(prefix_, path);
  const View::Node* node = view_->node_at(full);
  if (node != nullptr && !node->children.empty()) {
    TRY_ASSIGN(Attr attr, getattr(path));
    (void)attr;
    return std::shared_ptr<FileSystem>(std::make_shared<ViewFs>(view_, full));
  }
  Location here = view_->locate(full);
  if (here.path.empty()) return here.mount->fs;
  return here.mount->fs->subtree(here.path);
}

}  // namespace viewsh
