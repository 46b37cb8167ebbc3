#include "survey.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "cow_host.h"
#include "cow_index.h"
#include "host_ops.h"
#include "layer_view.h"
#include "same_content.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

constexpr int kDirFlags = O_PATH | O_DIRECTORY;

}  // namespace

/// What one thread looks with: the directory that it is in.
class Survey::Watcher {
 public:
  void go_to(size_t place, const Place& where, int upper_root, int lower_root) {
    if (here_ == place) return;
    here_ = place;
    upper_.reset();
    lower_.reset();
    if (upper_root >= 0) upper_ = host_ops::open_beneath(upper_root, where.upper, kDirFlags);
    if (lower_root >= 0 && where.merged) {
      lower_ = host_ops::open_beneath(lower_root, where.lower, kDirFlags);
    }
  }
  void look(const Node& node, Xattrs xattrs, Look* out) const {
    if (upper_ && node.state == Node::State::kUpper) ask(upper_.get(), node.name, &out->upper);
    if (lower_) ask(lower_.get(), node.name, &out->lower);
    if (!S_ISREG(out->upper.mode)) return;
    const bool pair = S_ISREG(out->lower.mode);
    if (!pair && xattrs == Xattrs::kPairs) return;
    out->upper.plain = has_no_xattrs_at(upper_.get(), node.name);
    out->lower.plain = pair && out->upper.plain && has_no_xattrs_at(lower_.get(), node.name);
  }

  void read(const Node& node, bool locked, Look* out) const {
    const Brief& upper = out->upper;
    const Brief& lower = out->lower;
    if (!S_ISREG(upper.mode) || !S_ISREG(lower.mode) || upper.size != lower.size) return;
    if (node.meta && !node.meta->redirect.empty()) return;  // it is compared to another one
    // Another thread may just look at another name of it, and so change its mode for a moment.
    locked = locked && upper.nlink == 1;
    out->same = viewfs::same_content_at(upper_.get(), lower_.get(), node.name, upper.size, locked);
  }

 private:
  size_t here_ = SIZE_MAX;
  UniqueFd upper_, lower_;
};

Attr Survey::Brief::attr() const {
  Attr out{};
  out.stx_mode = static_cast<uint16_t>(mode);
  out.stx_uid = uid;
  out.stx_gid = gid;
  out.stx_nlink = nlink;
  out.stx_rdev_major = rdev_major;
  out.stx_rdev_minor = rdev_minor;
  out.stx_dev_major = dev_major;
  out.stx_dev_minor = dev_minor;
  out.stx_ino = ino;
  out.stx_size = size;
  out.stx_blocks = blocks;
  atime.put(&out.stx_atime);
  mtime.put(&out.stx_mtime);
  ctime.put(&out.stx_ctime);
  return out;
}

void Survey::ask(int dir, const std::string& name, Brief* out) {
  const auto attr = lstat_at(dir, name);
  out->code = attr.error().value();
  if (!attr) return;
  out->mode = attr->stx_mode;
  out->uid = attr->stx_uid;
  out->gid = attr->stx_gid;
  out->nlink = attr->stx_nlink;
  out->rdev_major = attr->stx_rdev_major;
  out->rdev_minor = attr->stx_rdev_minor;
  out->dev_major = attr->stx_dev_major;
  out->dev_minor = attr->stx_dev_minor;
  out->ino = attr->stx_ino;
  out->size = attr->stx_size;
  out->blocks = attr->stx_blocks;
  out->atime = file_time(attr->stx_atime);
  out->mtime = file_time(attr->stx_mtime);
  out->ctime = file_time(attr->stx_ctime);
}

void Survey::list(const LayerView& view, std::vector<Place>* places, std::vector<Name>* names) {
  view.index.each([&](Node* dir) {
    if (!dir->is_dir() || !dir->children || dir->children->empty()) return;
    Place& place = places->emplace_back();
    place.upper = Index::path_of(dir);
    place.merged = dir->merged();
    if (place.merged) place.lower = Index::lower_path_of(dir);
    for (const auto& [name, child] : *dir->children) {
      if (child->present() || child->hidden) names->push_back({child.get(), places->size() - 1});
    }
  });
}

void Survey::take(const LayerView& view, Xattrs xattrs, Detail detail) {
  if (taken_) return;
  taken_ = true;
  std::vector<Place> places;
  std::vector<Name> names;
  list(view, &places, &names);
  looks_.resize(names.size());
  at_.reserve(names.size());
  for (size_t i = 0; i < names.size(); ++i) at_.emplace(names[i].node, i);
  // What a snapshot holds is not in upper/; what a layer below shows is in no one place.
  const int upper = view.frozen ? -1 : view.layer->upper_fd();
  UniqueFd lower;
  if (view.below == nullptr && view.knows_lower()) {
    lower.reset(open(view.layer->lower().c_str(), kDirFlags | O_CLOEXEC));
  }
  const bool locked = view.layer->writable();
  Watcher watchers[kMaxWorkers];
  spread(names.size(), Load::kCalls, [&](size_t worker, size_t i) {
    Watcher& watcher = watchers[worker];
    watcher.go_to(names[i].place, places[names[i].place], upper, lower ? lower.get() : -1);
    watcher.look(*names[i].node, xattrs, &looks_[i]);
    if (detail == Detail::kAll) watcher.read(*names[i].node, locked, &looks_[i]);
    return true;
  });
}

const Survey::Look* Survey::find(const Node* node) const {
  const auto it = at_.find(node);
  return it == at_.end() ? nullptr : &looks_[it->second];
}

std::optional<Attr> Survey::upper(const Node* node) const {
  const Look* look = find(node);
  if (look == nullptr || look->upper.code != 0) return {};
  return look->upper.attr();
}

std::optional<Result<Attr>> Survey::lower(const Node* node) const {
  const Look* look = find(node);
  if (look == nullptr || look->lower.code < 0) return {};
  if (look->lower.code == 0) return Result<Attr>(look->lower.attr());
  return Result<Attr>(Errno(look->lower.code));
}

std::optional<bool> Survey::same_content(const Node* node) const {
  const Look* look = find(node);
  if (look == nullptr || look->same < 0) return {};
  return look->same == 1;
}

bool Survey::plain_upper(const Node* node) const {
  const Look* look = find(node);
  return look != nullptr && look->upper.plain;
}

bool Survey::plain(const Node* node) const {
  const Look* look = find(node);
  return look != nullptr && look->lower.plain;
}

}  // namespace viewsh::viewfs
