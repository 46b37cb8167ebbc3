// What a mincow does in the lower itself, because it may.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "cow_fs.h"
#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

/// What access(2) doesn't tell: a file that may only be appended to. fs/namei.c, may_open.
Result<void> may_append_only(const OpenPlan& plan) {
  if ((plan.flags & O_APPEND) != 0 && (plan.flags & O_TRUNC) == 0) return {};
  const auto attr = lstat_at(AT_FDCWD, plan.host);
  if (attr && (attr->stx_attributes & STATX_ATTR_APPEND) != 0) return Errno(EPERM);
  return {};
}

/// Would the kernel let this process open it for writing, or make it?
Result<void> may_open(const OpenPlan& plan, bool exists) {
  if ((plan.flags & O_TMPFILE) == O_TMPFILE) return ask_host(plan.host, W_OK | X_OK);
  if (!exists) {
    const size_t slash = plan.host.rfind('/');
    return ask_host(plan.host.substr(0, std::max<size_t>(slash, 1)), W_OK | X_OK);
  }
  const bool reads = (plan.flags & O_ACCMODE) != O_WRONLY;
  TRY(ask_host(plan.host, W_OK | (reads ? R_OK : 0)));
  return may_append_only(plan);
}

}  // namespace

bool CowFs::is_real(const Place& place) {
  if (place.what == Place::What::kLower)
    return place.copied == nullptr && place.lower == place.path;
  if (place.what != Place::What::kAbsent) return false;
  const bool hidden = place.node != nullptr && place.node->hidden;
  return !hidden && place.position_has_lower && place.position_lower == place.path;
}

bool CowFs::is_real_dir(const Place& place) {
  return place.what == Place::What::kUpper && place.node->merged() && !place.node->meta->changed &&
         place.lower == place.path;
}

bool CowFs::made_here(const Place& place) {
  return place.what == Place::What::kUpper && !(place.node->meta && place.node->meta->origin);
}

std::optional<Result<void>> CowFs::in_lower(std::initializer_list<const std::string*> paths,
                                            const Caller& caller, const InLower& change) {
  // The change is made by the engine, which must not lend its rights to somebody else.
  bool real = minimal_ && is_self(caller);
  bool absent = false;
  for (const std::string* path : paths) {
    if (!real) break;
    const auto place = look(*path);
    // Of two names the first has to be there before anything counts of the second. fs/namei.c
    if (!place) return Result<void>(absent ? Errno(ENOENT) : place.error());
    real = is_real(*place);
    absent = !place->exists();
  }
  if (real) {
    const Result<void> done = change(*lower_);
    for (const std::string* path : paths) follow_lower(parent_of(*path));
    if (done || !is_refusal(done.error())) return done;
  }
  if (frozen()) return Result<void>(Errno(EROFS));
  return {};
}

std::optional<Result<void>> CowFs::attr_in_lower(const Place& place, const Caller& caller,
                                                 const InLower& change,
                                                 const std::function<void()>& on_container) {
  const bool container = is_real_dir(place) && !frozen();
  if (minimal_ && is_self(caller) && (container || is_real(place))) {
    const Result<void> done = change(*lower_);
    if (done && container) {
      on_container();
      return follow_container(place);
    }
    if (done || !is_refusal(done.error())) return done;
  }
  if (frozen()) return Result<void>(Errno(EROFS));
  return {};
}

Result<std::optional<OpenPlan>> CowFs::open_in_lower(const Place& place, const OpenHow& how,
                                                     const Caller& caller) {
  using Answer = std::optional<OpenPlan>;
  const bool tmpfile = (how.flags & O_TMPFILE) == O_TMPFILE;
  const bool real = is_real(place) || (tmpfile && is_real_dir(place));
  if (!minimal_ || !real || !is_self(caller)) return Answer();
  auto plan = lower_->plan_open(place.path, how, caller);
  if (!plan) return is_refusal(plan.error()) ? Result<Answer>(Answer()) : plan.error();
  if (const auto may = may_open(*plan, place.exists()); !may) {
    if (plan->notify) lower_->opened(place.path, *plan, false);
    return is_refusal(may.error()) ? Result<Answer>(Answer()) : may.error();
  }
  const Node* dir = index_.find(parent_of(place.path));
  const bool makes = !place.exists() && dir != nullptr && dir->merged();
  if (makes || plan->notify) {
    pending_below_.push_back({place.path, *plan, plan->notify});
    plan->notify = true;
  }
  return Answer(std::move(*plan));
}

bool CowFs::opened_in_lower(const std::string& path, const OpenPlan& plan, bool success) {
  const bool nameless = (plan.flags & O_TMPFILE) == O_TMPFILE;
  const auto it = std::find_if(pending_below_.begin(), pending_below_.end(), [&](const auto& p) {
    const bool same = nameless ? p.plan.flags == plan.flags : p.plan.host == plan.host;
    return p.path == path && same;
  });
  if (it == pending_below_.end()) return false;
  PendingBelow pending = std::move(*it);
  pending_below_.erase(it);
  if (nameless) pending.plan.host = plan.host;
  if (pending.notify) lower_->opened(path, pending.plan, success);
  follow_lower(parent_of(path));
  return true;
}

void CowFs::follow_lower(std::string_view dir) {
  if (names_ != nullptr) names_->forget_directories();
  Node* node = index_.find(dir);
  if (node == nullptr || !node->merged()) return;
  node->lower_attr.reset();
}

Result<void> CowFs::follow_container(const Place& place) {
  TRY_ASSIGN(const Attr attr, lower_->getattr(place.path));
  const CopiedAttr copied =
      copy_attr(layer_->upper_fd(), place.path.empty() ? "." : place.path, attr, S_IRWXU);
  Meta meta = *place.node->meta;
  meta.origin = lower_state(attr);
  meta.mode.reset();
  meta.uid.reset();
  meta.gid.reset();
  keep_attr(attr, copied, &meta);
  Transaction t;
  t.records.push_back(Record::node(place.path, std::move(meta)));
  TRY(change(t, nullptr));
  place.node->may_change = -1;
  place.node->lower_attr.reset();
  return {};
}

/// An owner that the host would not give to a copy is shown, at least.
Result<void> CowFs::record_owner(const Place& place, const SetAttr& set) {
  TRY_ASSIGN(const Attr attr, attr_of(place));
  Meta meta = *place.node->meta;
  const bool uid = set.uid && *set.uid != static_cast<uid_t>(-1);
  const bool gid = set.gid && *set.gid != static_cast<gid_t>(-1);
  meta.mode = attr.stx_mode & 07777;
  meta.uid = uid ? *set.uid : attr.stx_uid;
  meta.gid = gid ? *set.gid : attr.stx_gid;
  meta.changed = true;
  Transaction t;
  t.records.push_back(Record::node(place.path, std::move(meta)));
  return change(t, nullptr);
}

/// A directory is watched where most changes of it will be.
Result<bool> CowFs::watches_lower(const Place& place) {
  if (!minimal_ || !(is_real(place) || is_real_dir(place))) return false;
  TRY_ASSIGN(const std::string host, host_of_lower(place.lower));
  return ask_host(host, W_OK).ok();
}

}  // namespace viewsh::viewfs
