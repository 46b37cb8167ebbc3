#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

bool is_tmpfile(int flags) { return (flags & O_TMPFILE) == O_TMPFILE; }

int access_wanted(int flags) {
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return R_OK | ((flags & O_TRUNC) != 0 ? W_OK : 0);
    case O_WRONLY:
      return W_OK;
    default:
      return R_OK | W_OK;
  }
}

}  // namespace

Result<OpenPlan> CowFs::plan_create(const std::string& path, const OpenHow& how,
                                    const Caller& caller) {
  if (frozen()) return Errno(EROFS);
  TRY(may_change(parent_of(path), caller));
  TRY_ASSIGN(Node * dir, ensure_upper_dir(parent_of(path)));
  TRY(layer_->settle());
  pending_.push_back({path, dir, std::string(name_of(path)), how.create_type});
  return OpenPlan{upper_host(path), how.flags, how.mode, true};
}

Result<OpenPlan> CowFs::plan_existing(Place place, const OpenHow& how, const Caller& caller) {
  OpenPlan plan{{}, how.flags & ~(O_CREAT | O_EXCL), how.mode, false};
  const bool is_path = (how.flags & O_PATH) != 0;
  const int wanted = is_path ? 0 : access_wanted(how.flags);
  if ((wanted & W_OK) != 0) {
    TRY_ASSIGN(auto real, open_in_lower(place, how, caller));
    if (real) return std::move(*real);
  }
  const bool recorded = place.node != nullptr && place.node->meta &&
                        (place.node->meta->mode || place.node->meta->uid);
  const bool own = place.what == Place::What::kUpper;
  bool asked = recorded || ((wanted & W_OK) != 0 && !own);
  if (wanted != 0 && !asked && (!own || place.node->merged())) {
    // Where the lower's attributes are not those of its objects, the kernel can't decide.
    TRY_ASSIGN(const Found below, found_in_lower(place.lower));
    asked = below.attr_virtual;
  }
  if (wanted != 0 && asked) TRY(may_access(place, wanted, caller));
  const bool copies = place.type == NodeType::kRegular && (wanted & W_OK) != 0;
  if (copies && frozen()) return Errno(EROFS);
  if (copies && place.what != Place::What::kUpper) {
    TRY(copy_up(&place, (how.flags & O_TRUNC) == 0));
  } else if (copies) {
    TRY(snapshots_.unshare(layer_->upper_fd(), place.path));
  }
  if (place.what != Place::What::kUpper) {
    TRY_ASSIGN(plan.host, content_of_lower(place.lower, how.flags & (O_ACCMODE | O_PATH)));
  } else if (place.node->merged()) {
    TRY_ASSIGN(plan.host, lower_host(place.node, place.lower));
  } else {
    plan.host = upper_host(place.path);
  }
  if (copies) TRY(sync_opened(place.path, how.flags));
  return plan;
}

Result<OpenPlan> CowFs::plan_open(const std::string& path, const OpenHow& how,
                                  const Caller& caller) {
  TRY_ASSIGN(Place place, look(path));
  if (!place.exists()) {
    if ((how.flags & O_CREAT) == 0 || is_tmpfile(how.flags)) return Errno(ENOENT);
    TRY_ASSIGN(auto real, open_in_lower(place, how, caller));
    if (real) return std::move(*real);
    return plan_create(path, how, caller);
  }
  if (is_tmpfile(how.flags)) {
    if (!place.is_dir()) return Errno(ENOTDIR);
    TRY_ASSIGN(auto real, open_in_lower(place, how, caller));
    if (real) return std::move(*real);
    if (frozen()) return Errno(EROFS);
    TRY(may_change(path, caller));
    TRY(ensure_upper_dir(path));
    return OpenPlan{upper_host(path), how.flags, how.mode, !dead_.empty()};
  }
  const bool is_path = (how.flags & O_PATH) != 0;
  if (!is_path) {
    if ((how.flags & O_CREAT) != 0 && (how.flags & O_EXCL) != 0) return Errno(EEXIST);
    if (place.type == NodeType::kSymlink) return Errno(ELOOP);
    if (place.is_dir() && ((how.flags & O_CREAT) != 0 || (access_wanted(how.flags) & W_OK) != 0)) {
      return Errno(EISDIR);
    }
  }
  if ((how.flags & O_DIRECTORY) != 0 && !place.is_dir()) return Errno(ENOTDIR);
  return plan_existing(std::move(place), how, caller);
}

void CowFs::opened(const std::string& path, const OpenPlan& plan, bool success) {
  if (!plan.notify || opened_in_lower(path, plan, success)) return;
  if (is_tmpfile(plan.flags)) {
    // Its inode number may be that of a copy that is gone, which it must not be taken for.
    struct stat st {};
    if (success && stat(plan.host.c_str(), &st) == 0) dead_.erase(st.st_ino);
    return;
  }
  const auto it = std::find_if(pending_.begin(), pending_.end(),
                               [&](const Pending& p) { return p.path == path; });
  if (it == pending_.end()) return;
  const Pending pending = *it;
  pending_.erase(it);
  const Node* known = pending.dir->child(pending.name);
  if (known != nullptr && known->present()) return;
  NodeType type = pending.type;
  if (!success) {
    // What is in upper/ counts: the native call may have failed after it created.
    const std::string now = join(Index::path_of(pending.dir), pending.name);
    const auto attr = lstat_at(layer_->upper_fd(), now);
    if (!attr) return;
    type = type_of_mode(attr->stx_mode);
  }
  made(pending.dir, pending.name, type);
  layer_->changed();
  // The file is open, that can't be taken back; the first fsync(2) of it tells of what goes on.
  (void)sync_opened(path, plan.flags);
}

}  // namespace viewsh::viewfs
