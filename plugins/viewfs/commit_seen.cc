// What was renamed and renamed back has another time of change, by which the next commit would take
// it for changed by somebody else.
#include <fcntl.h>

#include <ctime>
#include <set>
#include <vector>

#include "commit.h"
#include "cow_host.h"
#include "host_ops.h"

namespace viewsh::viewfs {
namespace {

int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

/// Something at or below `top` changed after `then`, other than the inodes in `own`.
bool changed_by_others(const std::string& top, int64_t then, const std::set<uint64_t>& own) {
  std::vector<std::string> todo{top};
  while (!todo.empty()) {
    const std::string path = std::move(todo.back());
    todo.pop_back();
    const auto attr = lstat_at(AT_FDCWD, path);
    if (!attr) return true;
    if (nanoseconds(attr->stx_ctime) > then && own.count(attr->stx_ino) == 0) return true;
    if (!S_ISDIR(attr->stx_mode)) continue;
    const auto entries = host_ops::list_dir(path);
    if (!entries) return true;
    for (const DirEntry& entry : *entries) todo.push_back(join(path, entry.name));
  }
  return false;
}

}  // namespace

std::string forget_own_changes(LayerView* view, const CommitRecord& record) {
  std::set<uint64_t> own(record.linked.begin(), record.linked.end());
  for (const TouchedDir& d : record.dirs) own.insert(d.ino);
  for (const InPlace& in : record.in_place) own.insert(in.stamp.ino);
  for (const Direct& d : record.direct) {
    own.insert(d.ino);
    own.insert(d.there.ino);
  }
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
    if (changed_by_others(host, node->hidden_state->seen, own)) return;
    node->hidden_state->seen = moment;
    any = true;
  });
  if (!any) return {};
  const auto done = view->layer->compact(view->index.snapshot(), true);
  return done ? std::string() : "log: " + done.error().message();
}

}  // namespace viewsh::viewfs
