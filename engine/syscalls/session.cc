#include "syscalls/session.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/deep_path.h"
#include "base/path.h"

namespace viewsh {

namespace {

/// A path of a mount that moves, or the same.
std::string moved_path(const std::string& path, const std::string& from, const std::string& to) {
  if (from.empty() || !is_at_or_below(path, from)) return path;
  return join_path(to, below_of(path, from));
}

bool is_own_proc(const View& view) { return !view.locate("/proc").mount->late; }

}  // namespace

void Session::change_table(const std::shared_ptr<const View>& next, const std::string& from,
                           const std::string& to) {
  const auto mount_id = [](const View& in, const std::string& path) {
    return in.locate(path).mount->id;
  };
  std::set<const FsContext*> done;
  for (auto& [tid, task] : tasks) {
    FsContext* fs = task->fs.get();
    if (fs == nullptr || !done.insert(fs).second) continue;
    const std::string path = moved_path(fs->cwd, from, to);
    if (mount_id(fs->cwd_view ? *fs->cwd_view : *view, fs->cwd) == mount_id(*next, path)) {
      fs->cwd = path;
      fs->cwd_view = nullptr;
    } else if (!fs->cwd_view) {
      fs->cwd_view = view;
    }
  }
  for (auto& [host, path] : opened_at) {
    std::string moved = moved_path(path, from, to);
    if (moved != path && mount_id(*view, path) == mount_id(*next, moved)) path = std::move(moved);
  }
  host_proc = began_with_host_proc && is_own_proc(*next);
  view = next;
  cache->clear();
  if (table_changed) table_changed();
}

Session::Covered Session::covered_place(const std::string& host) const {
  for (const auto& mount : late) {
    const std::optional<std::string> inner = mount->own_fs()->reverse(host);
    if (!inner) continue;
    Mount alone = *mount;
    alone.at = "/";
    return {std::make_shared<View>(std::make_shared<const Mount>(std::move(alone))),
            join_path("/", *inner)};
  }
  if (late.empty()) return {};
  // Of what the view began with, only what a late mount covers: not what is hidden.
  std::vector<View::Entry> first;
  for (const View::Entry& entry : view->entries()) {
    if (!entry.mount->late) first.push_back(entry);
  }
  const std::shared_ptr<const View> began = View::of(first);
  std::optional<std::string> path = began->reverse(host);
  if (!path || !view->locate(*path).mount->late) return {};
  return {began, std::move(*path)};
}

void Session::directory_moved(const std::string& from, const std::string& to) {
  for (auto& [tid, task] : tasks) {
    if (task->fs && !task->fs->cwd_view && is_at_or_below(task->fs->cwd, from)) {
      task->fs->cwd = join_path(to, below_of(task->fs->cwd, from));
    }
  }
}

void Session::directory_removed(const std::string& path) {
  for (auto& [tid, task] : tasks) {
    if (task->fs && !task->fs->cwd_view && task->fs->cwd == path) task->fs->cwd_gone = true;
  }
}

void Session::show_owner(Attr* attr) const {
  if (identity != nullptr && (attr->stx_mask & kOwnOwners) == 0) {
    attr->stx_uid = identity->shown_uid(attr->stx_uid);
    attr->stx_gid = identity->shown_gid(attr->stx_gid);
  }
  attr->stx_mask &= ~kOwnOwners;
}

bool Session::shows_other_owner(const Attr& attr) const {
  Attr shown = attr;
  show_owner(&shown);
  return shown.stx_uid != attr.stx_uid || shown.stx_gid != attr.stx_gid;
}

void Session::note_opened(const std::string& host, const std::string& view_path) {
  if (!has_aliases || host.empty()) return;
  constexpr size_t kMaxKept = 8192;
  if (opened_at.size() >= kMaxKept) opened_at.clear();
  opened_at[host] = view_path;
}

std::optional<std::string> Session::view_path_of(const std::string& host) const {
  auto opened = opened_at.find(host);
  if (opened != opened_at.end()) {
    Location here = view->locate(opened->second);
    std::optional<std::string> shown = here.mount->fs->reverse(host);
    if (shown == here.path) return opened->second;
    // Moved there.
    if (shown && !here.mount->fs->transparent()) return join_path(here.mount->at, *shown);
    // Removed or replaced where it was opened. That the host's own path shows it, too, as the
    // source of a merge, say, doesn't make that the place: a change would reach what a copy stood
    // in for.
    if (!here.mount->fs->transparent()) return std::nullopt;
  }
  return view->reverse(host);
}

std::optional<std::string> Session::name_of_open(const std::string& link) const {
  Attr attr{};
  if (statx(AT_FDCWD, link.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &attr) < 0) {
    return std::nullopt;
  }
  return view->shown_at(attr);
}

bool Session::owns(const std::string& link, const struct stat& object) const {
  Result<std::string> host = path_of_directory(link);
  if (!host.ok()) return false;
  constexpr std::string_view kDeleted = " (deleted)";
  std::string name = *host;
  if (name.ends_with(kDeleted)) name.erase(name.size() - kDeleted.size());
  // Without a place in the table; own_path() is about those that have lost their names.
  if (std::any_of(late.begin(), late.end(), [&](const auto& mount) {
        return mount->own_fs()->own_path(*host, object).has_value();
      }))
    return true;
  auto opened = opened_at.find(name);
  if (opened == opened_at.end()) return view->owns(*host, object, has_aliases);
  // The host's own path may show it, too: what counts is where it was opened.
  Location here = view->locate(opened->second);
  return here.mount->fs->own_path(*host, object).has_value();
}

}  // namespace viewsh
