#include "syscalls/mount_table.h"

#include <sys/mount.h>

#include <algorithm>
#include <sstream>

#include "base/path.h"
#include "syscalls/fuse_device.h"
#include "syscalls/mount_users.h"
#include "vfs/host_mounts.h"
#include "viewsh/close_listener.h"

namespace viewsh {

namespace {

bool is_directory(const Attr& attr) { return S_ISDIR(attr.stx_mode); }

bool is_read_only(const Mount& mount) { return mount.fs->read_only(); }

/// What isn't in /proc/mounts: no mount(2) can mean it.
bool is_unseen(const Mount& mount) {
  return mount.internal || mount.type == "hide" || mount.type == "device";
}

/// By a process of the view.
bool is_served(const Mount& mount) {
  return dynamic_cast<const CloseListener*>(mount.own_fs().get()) != nullptr;
}

/// Does a mount have all of these options already? Those that are left out stay as they are.
bool has_options(const std::string& have, const std::string& wanted) {
  std::istringstream words(wanted);
  for (std::string word; std::getline(words, word, ',');) {
    if (!word.empty() && ("," + have + ",").find("," + word + ",") == std::string::npos)
      return false;
  }
  return true;
}

}  // namespace

/// Not in what is covered, or was taken away, and is still worked in.
bool MountTable::is_present(const Walked& at) const {
  return session_.view->locate(at.view_path).mount->id == at.mount->id;
}

bool MountTable::is_root(const Walked& at) const {
  return is_present(at) && at.path.empty() && at.mount->at == at.view_path;
}

bool MountTable::is_mount_point(const Walked& at) const {
  if (is_root(at)) return !is_unseen(*at.mount);
  const auto lines = read_host_mounts();
  return std::any_of(lines.begin(), lines.end(), [&](const HostMount& line) {
    return session_.view->reverse(line.at) == at.view_path;
  });
}

Result<void> MountTable::may_cover(const Mount& top, const Walked& target) const {
  if (!is_present(target)) return Errno(EINVAL);
  // The root of processes stays the one that they have.
  if (target.view_path == "/") return Errno(EBUSY);
  TRY_ASSIGN(const Attr root, top.fs->getattr(""));
  TRY_ASSIGN(const Attr covered, target.fs_mutable().getattr(target.path));
  return is_directory(root) == is_directory(covered) ? Result<void>() : Errno(ENOTDIR);
}

Result<Mount> MountTable::with_flags(const Mount& old, unsigned long flags,
                                     bool super_read_only) const {
  Mount made = old;
  made.flags = flags & kMountFlags;
  made.super_read_only = super_read_only;
  made.fs = old.own_fs();
  made.content = nullptr;
  const bool wanted = super_read_only || (flags & MS_RDONLY) != 0;
  if (!wanted || made.fs->read_only()) return made;
  made.content = made.fs;
  TRY_ASSIGN(made.fs, session_.mounter->bind(made.content, "", true));
  return made;
}

Result<void> MountTable::add(Mount mount, const Walked& target) {
  TRY(may_cover(mount, target));
  mount.at = target.view_path;
  mount.id = session_.mounter->next_id();
  mount.late = true;
  TRY_ASSIGN(Mount made, with_flags(mount, mount.flags, (mount.flags & MS_RDONLY) != 0));
  const auto shared = std::make_shared<const Mount>(std::move(made));
  session_.change_table(session_.view->with(shared, std::nullopt));
  session_.late.push_back(shared);
  if (session_.mounted) session_.mounted(*shared);
  return {};
}

Result<void> MountTable::bind(const Walked& source, const Walked& target, bool recursive) {
  if (!is_present(source) || source.mount->type == "hide") return Errno(EINVAL);
  const View& view = *session_.view;
  std::vector<std::shared_ptr<const Mount>> below;
  for (const auto& mount : view.mounts()) {
    if (mount->at != source.view_path && is_at_or_below(mount->at, source.view_path))
      below.push_back(mount);
  }
  const bool locked =
      std::any_of(below.begin(), below.end(), [](const auto& mount) { return !mount->late; });
  if (locked && !recursive) return Errno(EINVAL);
  const Mount& from = *source.mount;
  Mount made;
  made.type = "bind";
  made.source = source.view_path;
  made.at = target.view_path;
  made.id = session_.mounter->next_id();
  made.late = true;
  made.part_of = from.part_of != 0 || !is_late(from.id) ? from.part_of : from.id;
  TRY_ASSIGN(made.fs, session_.mounter->bind(from.own_fs(), source.path, false));
  TRY(may_cover(made, target));
  TRY_ASSIGN(made, with_flags(made, from.flags, from.super_read_only));
  Entries entries = view.entries();
  std::vector<std::shared_ptr<const Mount>> all{std::make_shared<const Mount>(std::move(made))};
  entries.push_back({all[0], std::nullopt});
  if (!recursive) below.clear();
  for (const auto& old : below) {
    Mount copy = *old;
    copy.at = join_path(target.view_path, below_of(old->at, source.view_path));
    copy.id = session_.mounter->next_id();
    copy.part_of = old->part_of != 0 || !is_late(old->id) ? old->part_of : old->id;
    const auto entry = std::find_if(view.entries().begin(), view.entries().end(),
                                    [&](const View::Entry& one) { return one.mount == old; });
    all.push_back(std::make_shared<const Mount>(std::move(copy)));
    entries.push_back({all.back(), entry->name});
  }
  session_.change_table(View::of(entries));
  for (const auto& mount : all) {
    if (session_.mounted) session_.mounted(*mount);
  }
  return {};
}

/// The mount and all that is mounted on it; the others.
void MountTable::split(int id, Entries* kept, Entries* gone) const {
  std::string at;
  for (const View::Entry& entry : session_.view->entries()) {
    if (entry.mount->id == id) at = entry.mount->at;
    const bool on_it = !at.empty() && is_at_or_below(entry.mount->at, at);
    (on_it ? gone : kept)->push_back(entry);
  }
}

/// What it covers would show in another way.
bool MountTable::has_locked(const Entries& mounts) {
  return std::any_of(mounts.begin(), mounts.end(),
                     [](const View::Entry& one) { return !one.mount->late; });
}

Result<void> MountTable::move(const Walked& source, const Walked& target) {
  if (!is_root(source) || !source.mount->late || !is_present(target)) return Errno(EINVAL);
  const std::string from = source.view_path;
  const std::string to = target.view_path;
  if (is_at_or_below(to, from)) return Errno(ELOOP);
  // do_move_mount() has another error than who mounts.
  Result<void> may = may_cover(*source.mount, target);
  if (!may.ok()) return may.error() == ENOTDIR ? Errno(EINVAL) : may.error();
  Entries entries;
  Entries moved;
  split(source.mount->id, &entries, &moved);
  if (source.mount->by_user && has_locked(moved)) return Errno(EINVAL);
  std::vector<std::shared_ptr<const Mount>> all;
  for (View::Entry& entry : moved) {
    Mount made = *entry.mount;
    made.at = join_path(to, below_of(made.at, from));
    all.push_back(std::make_shared<const Mount>(std::move(made)));
    for (auto& mount : session_.late) {
      if (mount->id == all.back()->id) mount = all.back();
    }
    entries.push_back({all.back(), entry.name});
  }
  session_.change_table(View::of(entries), from, to);
  for (const auto& mount : all) {
    if (session_.mounted) session_.mounted(*mount);
  }
  return {};
}

void MountTable::replace(std::vector<Mount> changed) {
  Entries entries = session_.view->entries();
  for (Mount& one : changed) {
    const auto made = std::make_shared<const Mount>(std::move(one));
    for (View::Entry& entry : entries) {
      if (entry.mount->id == made->id) entry.mount = made;
    }
    for (auto& mount : session_.late) {
      if (mount->id == made->id) mount = made;
    }
  }
  session_.change_table(View::of(entries));
}

Result<void> MountTable::remount_bind(const Walked& at, unsigned long flags) {
  if (!is_root(at) || is_unseen(*at.mount)) return Errno(EINVAL);
  const Mount& mount = *at.mount;
  const bool wanted = (flags & MS_RDONLY) != 0;
  if (!mount.late && mount.own_fs()->read_only() && !wanted) return Errno(EPERM);
  if (wanted && !is_read_only(mount) && MountUsers(session_).written(mount)) return Errno(EBUSY);
  if (wanted) TRY(mount.own_fs()->sync_all());
  TRY_ASSIGN(Mount made, with_flags(mount, flags, mount.super_read_only));
  replace({std::move(made)});
  return {};
}

Result<void> MountTable::remount(const Walked& at, unsigned long flags,
                                 const std::string& options) {
  if (!is_root(at) || is_unseen(*at.mount)) return Errno(EINVAL);
  const int id = at.mount->part_of != 0 ? at.mount->part_of : at.mount->id;
  const auto own = std::find_if(session_.late.begin(), session_.late.end(),
                                [id](const auto& mount) { return mount->id == id; });
  // What belongs to more than the view, or to who made it.
  if (own == session_.late.end()) return Errno(EPERM);
  if (!has_options((*own)->options, options)) return Errno(EINVAL);
  const bool wanted = (flags & MS_RDONLY) != 0;
  if (!wanted && (*own)->own_fs()->read_only()) return Errno(EROFS);
  std::vector<Mount> changed;
  const MountUsers users(session_);
  for (const View::Entry& entry : session_.view->entries()) {
    const Mount& mount = *entry.mount;
    if (mount.id != id && mount.part_of != id) continue;
    if (wanted && !is_read_only(mount) && users.written(mount)) return Errno(EBUSY);
    const unsigned long own_flags = mount.id == at.mount->id ? flags : mount.flags;
    TRY_ASSIGN(Mount made, with_flags(mount, own_flags, wanted));
    changed.push_back(std::move(made));
  }
  if (wanted) TRY((*own)->own_fs()->sync_all());
  replace(std::move(changed));
  return {};
}

const Mount* MountTable::find_late(int id) const {
  const auto it = std::find_if(session_.late.begin(), session_.late.end(),
                               [id](const auto& mount) { return mount->id == id; });
  return it == session_.late.end() ? nullptr : it->get();
}

bool MountTable::leads_to_server(const Mount& mount) const {
  const Mount* at = &mount;
  while (at != nullptr && !is_served(*at)) at = find_late(at->source_in);
  return at != nullptr;
}

bool MountTable::is_late(int id) const { return find_late(id) != nullptr; }

/// An image lies in it, or whatever else was made of something in it.
bool MountTable::is_source(const Mount& mount) const {
  const auto& late = session_.late;
  const auto& entries = session_.view->entries();
  return std::any_of(late.begin(), late.end(),
                     [&](const auto& one) { return one->source_in == mount.id; }) ||
         std::any_of(entries.begin(), entries.end(),
                     [&](const View::Entry& entry) { return entry.mount->source_in == mount.id; });
}

/// Something else needs its file system.
bool MountTable::is_wanted(const Mount& mount) const {
  const auto& entries = session_.view->entries();
  return is_source(mount) ||
         std::any_of(entries.begin(), entries.end(), [&](const View::Entry& entry) {
           return entry.mount->id == mount.id || entry.mount->part_of == mount.id;
         });
}

Result<void> MountTable::may_remove(const Walked& at, bool detach, Entries* kept) const {
  if (!is_root(at) || !at.mount->late) return Errno(EINVAL);
  const Mount& mount = *at.mount;
  Entries gone;
  kept->clear();
  split(mount.id, kept, &gone);
  if (detach && mount.by_user && has_locked(gone)) return Errno(EINVAL);
  if (!detach && (gone.size() > 1 || is_source(mount) || MountUsers(session_).busy(mount)))
    return Errno(EBUSY);
  return {};
}

Result<void> MountTable::remove(const Walked& at, bool detach) {
  Entries kept;
  TRY(may_remove(at, detach, &kept));
  if (!detach) {
    TRY(write_back(*at.mount));
    // That may have waited for a server, and others have come.
    TRY(may_remove(at, detach, &kept));
  }
  session_.change_table(View::of(kept));
  reap();
  return {};
}

Result<void> MountTable::write_back(const Mount& mount) const {
  const Mount* own = find_late(mount.part_of != 0 ? mount.part_of : mount.id);
  const auto& entries = session_.view->entries();
  const auto shows = [&](const View::Entry& one) {
    return one.mount->id != mount.id && (one.mount->id == own->id || one.mount->part_of == own->id);
  };
  if (own == nullptr || std::any_of(entries.begin(), entries.end(), shows)) return {};
  const std::shared_ptr<FileSystem> fs = own->own_fs();
  const bool served = is_served(*own);
  const Result<void> done = fs->sync_all();
  // Its server is gone, and can be told nothing any more.
  const bool lost = !done.ok() && (done.error() == ECONNABORTED || done.error() == ENOTCONN);
  return served && lost ? Result<void>() : done;
}

void MountTable::end(const Mount& mount) {
  session_.mounter->end(mount.own_fs());
  fuse_ended(session_, *mount.own_fs());
}

void MountTable::remove_served() {
  auto& late = session_.late;
  while (true) {
    // The newest first: a server may show what another one has, and what lies with one goes there.
    const auto it = std::find_if(late.rbegin(), late.rend(),
                                 [&](const auto& one) { return leads_to_server(*one); });
    if (it == late.rend()) return;
    const std::shared_ptr<const Mount> ended = *it;
    late.erase(std::next(it).base());
    Entries kept;
    Entries gone;
    split(ended->id, &kept, &gone);
    if (!gone.empty()) session_.change_table(View::of(kept));
    end(*ended);
  }
}

void MountTable::reap() {
  auto& late = session_.late;
  if (std::all_of(late.begin(), late.end(), [&](const auto& one) { return is_wanted(*one); }))
    return;
  const MountUsers users(session_);
  while (true) {
    // The newest first: what lies in an image goes before that.
    const auto it = std::find_if(late.rbegin(), late.rend(), [&](const auto& one) {
      return !is_wanted(*one) && !users.alive(*one);
    });
    if (it == late.rend()) return;
    const std::shared_ptr<const Mount> ended = *it;
    late.erase(std::next(it).base());
    end(*ended);
  }
}

}  // namespace viewsh
