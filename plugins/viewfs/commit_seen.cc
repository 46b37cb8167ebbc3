// What was renamed and renamed back has another time of change, by which the next commit would take
// it for changed by somebody else.
#include <dirent.h>
#include <fcntl.h>

#include <ctime>
#include <set>

#include "commit.h"
#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

/// Something at or below `name` changed after `then`, other than the inodes in `own`.
bool changed_by_others(int at, const std::string& name, int64_t then,
                       const std::set<uint64_t>& own) {
  const auto attr = lstat_at(at, name);
  if (!attr) return true;
  if (nanoseconds(attr->stx_ctime) > then && own.count(attr->stx_ino) == 0) return true;
  if (!S_ISDIR(attr->stx_mode)) return false;
  UniqueFd fd(openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return true;
  const int dir_fd = fd.release();
  bool changed = false;
  while (const dirent* entry = readdir(dir)) {
    const std::string child = entry->d_name;
    if (changed || child == "." || child == "..") continue;
    changed = changed_by_others(dir_fd, child, then, own);
  }
  closedir(dir);
  return changed;
}

}  // namespace

std::string forget_own_changes(LayerView* view, const CommitRecord& record) {
  std::set<uint64_t> own(record.linked.begin(), record.linked.end());
  for (const TouchedDir& d : record.dirs) own.insert(d.ino);
  for (const InPlace& in : record.in_place) own.insert(in.stamp.ino);
  for (const Rename& r : record.renames) {
    own.insert(r.what.ino);
    own.insert(r.there.ino);
  }
  const Selection selection(record.rest, record.decisions);
  bool any = false;
  view->index.each([&](Node* node) {
    if (!node->hidden || !node->hidden_state || !S_ISDIR(node->hidden_state->mode)) return;
    if (!selection.has(Index::path_of(node)) || !node->parent->merged()) return;
    const std::string lower = join(Index::lower_path_of(node->parent), node->name);
    const int64_t moment = now();
    const std::string host = view->lower_host(lower);
    if (changed_by_others(AT_FDCWD, host, node->hidden_state->seen, own)) return;
    node->hidden_state->seen = moment;
    any = true;
  });
  if (!any) return {};
  const auto done = view->layer->compact(view->index.snapshot(), true);
  return done ? std::string() : "log: " + done.error().message();
}

}  // namespace viewsh::viewfs
