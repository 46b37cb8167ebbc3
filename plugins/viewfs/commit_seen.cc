// What was renamed and renamed back has another time of change, by which the next commit would take
// it for changed by somebody else.
#include <fcntl.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <set>
#include <vector>

#include "commit.h"
#include "cow_host.h"
#include "host_ops.h"

namespace viewsh::viewfs {
namespace {

FileTime now() {
  timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return {t.tv_sec, static_cast<uint32_t>(t.tv_nsec)};
}

/// Something at or below `top` changed after `then`, other than the inodes in `own`.
bool changed_by_others(const std::string& top, const FileTime& then,
                       const std::set<uint64_t>& own) {
  std::vector<std::string> todo{top};
  while (!todo.empty()) {
    const std::string path = std::move(todo.back());
    todo.pop_back();
    const auto attr = lstat_at(AT_FDCWD, path);
    if (!attr) return true;
    if (file_time(attr->stx_ctime) > then && own.count(attr->stx_ino) == 0) return true;
    if (!S_ISDIR(attr->stx_mode)) continue;
    const auto entries = host_ops::list_dir(path);
    if (!entries) return true;
    for (const DirEntry& entry : *entries) todo.push_back(join(path, entry.name));
  }
  return false;
}

/// Every file of the lower that a layer has noted the state of, and its path there now.
void each_file_state(LayerView* view,
                     const std::function<void(LowerState*, const std::string&)>& visit) {
  view->index.each([&](Node* node) {
    if (node->parent == nullptr) return;
    const bool position = node->parent->merged();
    const auto home = [&] { return join(Index::lower_path_of(node->parent), node->name); };
    if (node->hidden && node->hidden_state && position && !S_ISDIR(node->hidden_state->mode)) {
      visit(node->hidden_state.get(), home());
    }
    if (!node->present() || !node->meta || !node->meta->origin || node->is_dir()) return;
    const std::string& redirect = node->meta->redirect;
    if (redirect.empty() && !position) return;
    visit(&*node->meta->origin, redirect.empty() ? home() : redirect);
  });
}

/// The same object, as far as its names and its time of change don't matter.
bool same_but_change(const LowerState& a, const LowerState& b) {
  return a.dev == b.dev && a.ino == b.ino && a.mode == b.mode && a.size == b.size &&
         a.mtime == b.mtime;
}

}  // namespace

std::vector<LowerState> committed_states(LayerView* view, const Selection& selection) {
  std::vector<LowerState> out;
  view->index.each([&](const Node* node) {
    const bool hidden = node->hidden && node->hidden_state;
    const bool stands = node->meta && node->meta->origin && !node->is_dir();
    if (!(hidden || stands) || !selection.has(Index::path_of(node))) return;
    if (hidden && !S_ISDIR(node->hidden_state->mode)) out.push_back(*node->hidden_state);
    if (stands) out.push_back(*node->meta->origin);
  });
  return out;
}

void follow_commit(LayerView* view, const std::vector<LowerState>& committed) {
  if (committed.empty()) return;
  std::unordered_map<InodeKey, std::vector<const LowerState*>, InodeHash> by_inode;
  for (const LowerState& state : committed) by_inode[{state.dev, state.ino}].push_back(&state);
  each_file_state(view, [&](LowerState* state, const std::string& lower) {
    const auto known = by_inode.find({state->dev, state->ino});
    if (known == by_inode.end()) return;
    const bool checked =
        std::any_of(known->second.begin(), known->second.end(), [&](const LowerState* other) {
          return same_but_change(*other, *state) && other->ctime == state->ctime &&
                 other->nlink == state->nlink;
        });
    if (!checked) return;
    const auto now = lstat_at(AT_FDCWD, view->lower_host(lower));
    if (now && now->stx_ino == state->ino && dev_of(*now) == state->dev) *state = lower_state(*now);
  });
}

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
    const FileTime moment = now();
    const std::string host = view->lower_host(lower);
    if (changed_by_others(host, node->hidden_state->seen, own)) return;
    node->hidden_state->seen = moment;
    any = true;
  });
  // Files that lost and got back a name are as they were, but for the time of that.
  each_file_state(view, [&](LowerState* state, const std::string& lower) {
    if (own.count(state->ino) == 0) return;
    const auto attr = lstat_at(AT_FDCWD, view->lower_host(lower));
    if (!attr) return;
    LowerState is = lower_state(*attr);
    if (!same_but_change(is, *state) || is.nlink != state->nlink || is.ctime == state->ctime)
      return;
    *state = is;
    any = true;
  });
  if (!any) return {};
  const auto done = view->layer->compact(view->index.snapshot(), true);
  return done ? std::string() : "log: " + done.error().message();
}

}  // namespace viewsh::viewfs
