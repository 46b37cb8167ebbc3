#include <fcntl.h>
#include <unistd.h>

#include "cow_fs.h"
#include "cow_host.h"
#include "host_ops.h"

namespace viewsh::viewfs {

using host_ops::bits_allow;

bool is_self(const Caller& caller) {
  static const uid_t kSelf = geteuid();
  return caller.uid == kSelf;
}

Result<void> ask_host(const std::string& host, int want) {
  const PathAt at(AT_FDCWD, host);
  return from_libc(faccessat(at.dir(), at.name(), want, AT_EACCESS | AT_SYMLINK_NOFOLLOW));
}

Result<void> CowFs::may_search(Node* dir, const Caller& caller) {
  const Meta* meta = dir->meta.get();
  if (meta == nullptr || !meta->mode || !meta->uid || !meta->gid || caller.root()) return {};
  if (recorded_allows(dir, *meta->mode | S_IFDIR, {*meta->uid, *meta->gid}, X_OK, caller))
    return {};
  // The lower's access control list may be another by now.
  if (!meta->changed && is_self(caller) && dir->merged()) {
    TRY_ASSIGN(const auto host, deciding_host(Index::lower_path_of(dir)));
    if (host) return ask_host(*host, X_OK);
  }
  return Errno(EACCES);
}

Result<std::optional<std::string>> CowFs::deciding_host(const std::string& lower) {
  using Answer = std::optional<std::string>;
  TRY_ASSIGN(const Found found, found_in_lower(lower));
  if (!found.attr_virtual) return Answer(found.host);
  TRY_ASSIGN(const Attr shown, lower_->getattr(lower));
  const auto native = lstat_at(AT_FDCWD, found.host);
  const bool same = native && native->stx_mode == shown.stx_mode &&
                    native->stx_uid == shown.stx_uid && native->stx_gid == shown.stx_gid;
  return same ? Answer(found.host) : Answer();
}

Result<void> CowFs::may_access(const Place& place, int want, const Caller& caller) {
  if (minimal_ && !made_here(place)) want &= ~W_OK;
  if (want == F_OK) return {};
  const Meta* meta = place.node == nullptr ? nullptr : place.node->meta.get();
  const bool recorded = meta != nullptr && (meta->mode || meta->uid);
  const bool from_lower =
      place.what != Place::What::kUpper || (place.node->merged() && !(recorded && meta->changed));
  const bool as_below = from_lower && !(recorded && meta->changed);
  if (own_meta_ && as_below && place.copied == nullptr) {
    const auto may = lower_->permits(place.lower, want, caller);
    if (!(may.error() == ENOSYS)) return may;
  }
  const bool by_host = from_lower && is_self(caller) && !caller.root_in_view();
  if (by_host && as_below) {
    TRY_ASSIGN(const auto host, deciding_host(place.lower));
    if (host) return ask_host(*host, want);
  }
  if (caller.root()) return {};
  if (place.what == Place::What::kUpper && !recorded && is_self(caller)) {
    const PathAt at(layer_->upper_fd(), place.path.empty() ? "." : place.path);
    return from_libc(faccessat(at.dir(), at.name(), want, AT_EACCESS | AT_SYMLINK_NOFOLLOW));
  }
  TRY_ASSIGN(const Attr attr, attr_of(place));
  const bool may =
      place.what == Place::What::kUpper
          ? recorded_allows(place.node, attr.stx_mode, {attr.stx_uid, attr.stx_gid}, want, caller)
          : bits_allow(attr.stx_mode, attr.stx_uid, attr.stx_gid, want, caller);
  return may ? Result<void>() : Errno(EACCES);
}

Result<void> CowFs::may_change(std::string_view dir_path, const Caller& caller) {
  TRY_ASSIGN(const Place dir, find_place(dir_path));
  if (dir.what == Place::What::kAbsent) return Errno(ENOENT);
  Node* node = dir.what == Place::What::kUpper ? dir.node : nullptr;
  if (node != nullptr && !node->is_dir()) return Errno(ENOTDIR);
  const bool self = is_self(caller);
  if (node != nullptr && self) {
    if (node->may_change >= 0) return Errno(node->may_change);
    const bool plain = !node->meta || (!node->merged() && !node->meta->mode && !node->meta->uid);
    if (plain) return {};
  }
  const auto answer = may_access(dir, W_OK | X_OK, caller);
  if (node != nullptr && self && answer.error().value() < 128) {
    node->may_change = static_cast<int8_t>(answer.error().value());
  }
  return answer;
}

Result<void> CowFs::may_remove(const Place& victim, const Caller& caller) {
  const std::string dir_path(parent_of(victim.path));
  TRY(may_change(dir_path, caller));
  if (caller.root() || minimal_) return {};
  // Whose it is is mostly known, whether the directory is sticky has to be asked.
  const bool made_here = victim.what == Place::What::kUpper && !victim.node->meta;
  if (made_here && is_self(caller)) return {};
  TRY_ASSIGN(const Attr attr, attr_of(victim));
  if (attr.stx_uid == caller.uid) return {};
  TRY_ASSIGN(const Attr dir, getattr(dir_path));
  if ((dir.stx_mode & S_ISVTX) == 0 || dir.stx_uid == caller.uid) return {};
  return Errno(EPERM);
}

/// fs/namei.c, may_linkat: what sysctl fs.protected_hardlinks forbids.
Result<void> CowFs::may_hardlink(const Place& from, const Caller& caller) {
  static const bool kProtected = [] {
    UniqueFd fd(open("/proc/sys/fs/protected_hardlinks", O_RDONLY | O_CLOEXEC));
    char value = '1';
    return !fd || read(fd.get(), &value, 1) != 1 || value != '0';
  }();
  if (!kProtected || caller.root() || minimal_) return {};
  TRY_ASSIGN(const Attr attr, attr_of(from));
  if (attr.stx_uid == caller.uid) return {};
  const bool safe = S_ISREG(attr.stx_mode) && (attr.stx_mode & S_ISUID) == 0 &&
                    (attr.stx_mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP) &&
                    may_access(from, R_OK | W_OK, caller).ok();
  if (!safe) return Errno(EPERM);
  return {};
}

}  // namespace viewsh::viewfs
