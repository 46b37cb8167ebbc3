// A commit that was cut short and whose journal is damaged: what can be seen to be made is taken
// back, and what is left is said.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "commit.h"
#include "commit_apply.h"
#include "cow_host.h"
#include "cow_index.h"
#include "host_ops.h"

namespace viewsh::viewfs {
namespace {

constexpr char kPrefix[] = ".viewsh-commit-";

std::string stamped(const std::string& name) {
  char text[64];
  const time_t now = time(nullptr);
  tm parts{};
  localtime_r(&now, &parts);
  strftime(text, sizeof text, "-%Y%m%d-%H%M%S", &parts);
  return name + text;
}

/// A name of the layer is kept under another, which nothing has. Empty: there is none, or errno.
std::string keep(int layer_fd, const char* name, const std::string& as) {
  for (int i = 1; i < 1000; ++i) {
    const std::string to = i == 1 ? as : as + "-" + std::to_string(i);
    if (renameat2(layer_fd, name, layer_fd, to.c_str(), RENAME_NOREPLACE) == 0) return to;
    if (errno != EEXIST) return {};
  }
  return {};
}

}  // namespace

/// A temporary name goes if it has what was made for it.
std::string CommitRun::remove_known(const Temp& temp) {
  const auto dir = lower_.dir(temp.dir);
  if (!dir) return dir.error() == Errno(ENOENT) ? std::string() : fail(temp.dir, dir.error());
  const auto now = lstat_in(*dir, temp.name);
  if (!now) return {};
  bool known = r_.stage < CommitRecord::Stage::kReady;
  for (const Rename& r : r_.renames) {
    if (r.from_name != temp.name || r.what.ino != now->stx_ino) continue;
    if (r.kind != Rename::Kind::kIn && r.kind != Rename::Kind::kExchange) continue;
    const auto ours = evidence_.is_ours(r, *dir, temp.name, *now);
    known = ours && *ours;
  }
  for (const InPlace& in : r_.in_place) {
    if (in.backup != temp.name) continue;
    const auto is = evidence_.content(in);
    known = is && *is == Evidence::Content::kBefore;
  }
  if (!known) return {};  // it is among those that are left
  const auto gone = host_ops::remove_tree((*dir)->get(), temp.name);
  return gone ? std::string() : fail(join(temp.dir, temp.name), gone.error());
}

void CommitRun::names_left(std::vector<std::string>* left) {
  lower_.forget();
  std::set<std::string> dirs;
  for (const TouchedDir& d : r_.dirs) dirs.insert(d.path);
  for (const Temp& t : r_.temps) dirs.insert(t.dir);
  for (const Rename& r : r_.renames) dirs.insert({r.from_dir, r.to_dir});
  const std::string prefix = r_.id.empty() ? kPrefix : kPrefix + r_.id + "-";
  const std::string root = lower_path_ == "/" ? "" : lower_path_;
  for (const std::string& path : dirs) {
    const auto dir = lower_.dir(path);
    if (!dir) continue;  // with another path, or gone
    const auto names = names_in((*dir)->get(), ".");
    if (!names) {
      left->push_back(fail(path, names.error()));
      continue;
    }
    for (const std::string& name : *names) {
      if (!name.starts_with(prefix)) continue;
      left->push_back(root + "/" + join(path, name) + ": is left of the commit");
    }
  }
}

std::vector<std::string> CommitRun::salvage() {
  std::vector<std::string> left;
  const auto note = [&](std::string why) {
    if (!why.empty()) left.push_back(std::move(why));
  };
  if (r_.stage < CommitRecord::Stage::kApplied) {
    note(loosen(true));
    for (auto r = r_.renames.rbegin(); r != r_.renames.rend(); ++r) {
      if (evidence_.was_made(*r)) note(undo_rename(*r));
    }
    lower_.forget();
    for (std::string& why : direct_.undo_each()) left.push_back(std::move(why));
    for (auto in = r_.in_place.rbegin(); in != r_.in_place.rend(); ++in) note(restore(*in));
    note(lock_upper());
    for (const Temp& temp : r_.temps) note(remove_known(temp));
    note(restore_directories());
    (void)direct_.undo_rest();  // what is in replaced/ is kept by who asked
  }
  names_left(&left);
  return left;
}

std::string salvage_commit(LayerView* view, bool* applied, std::vector<std::string>* left) {
  CommitJournal journal(view->layer->dir());
  size_t bad = 0;
  const auto record = journal.salvage(&bad);
  if (!record) return "commit: " + record.error().message();
  *applied = record->stage == CommitRecord::Stage::kApplied;
  const std::string& root = view->layer->lower();
  const UniqueFd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return root + ": " + strerror(errno);
  Tree lower(fd.get());
  const CommitProgress silent;
  *left = CommitRun(*record, &lower, *view->layer, silent).salvage();
  const auto synced = sync_commit(&lower, *record);
  if (!synced) return "sync: " + synced.error().message();
  const int layer = view->layer->dir_fd();
  const std::string replaced = keep(layer, DirectChanges::kReplaced, stamped("replaced.left"));
  if (replaced.empty() && errno != ENOENT) return std::string("replaced: ") + strerror(errno);
  if (!replaced.empty()) {
    left->push_back(view->layer->dir() + "/" + replaced + ": is left of the commit");
  }
  if (keep(layer, CommitJournal::kName, stamped("commit.damaged")).empty()) {
    return std::string("commit: ") + strerror(errno);
  }
  return fsync(layer) == 0 ? std::string() : std::string("commit: ") + strerror(errno);
}

std::vector<std::string> names_of_commit(LayerView* view) {
  std::vector<std::string> out;
  size_t bad = 0;
  auto record = CommitJournal(view->layer->dir()).salvage(&bad);
  const UniqueFd fd(open(view->layer->lower().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!record || !fd) return out;
  record->stage = CommitRecord::Stage::kApplied;  // nothing is to be taken back
  Tree lower(fd.get());
  const CommitProgress silent;
  return CommitRun(*record, &lower, *view->layer, silent).salvage();
}

}  // namespace viewsh::viewfs
