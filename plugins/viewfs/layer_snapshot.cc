#include "layer_snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "cow_host.h"
#include "layer_shared.h"
#include "remove_tree.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

constexpr char kDir[] = "snapshots";
constexpr int64_t kSecond = 1000000000;

UniqueFd make_dir(int at, const std::string& name) {
  if (mkdirat(at, name.c_str(), 0700) < 0 && errno != EEXIST) return UniqueFd();
  return UniqueFd(openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

Result<void> write_snapshot(LayerView* view, int temp_fd, SnapshotTree* tree) {
  UniqueFd objects = make_dir(temp_fd, "objects");
  if (!objects) return Errno::last();
  Result<void> scanned;
  size_t changes = 0;
  std::string log;
  const auto scan = [&] {
    scanned = scan_tree(view->layer->upper_fd(), view->layer->links_fd(), objects.get(),
                        view->index, view->survey, tree);
  };
  // Reads of `view` alone, as the other does.
  const auto describe = [&] {
    changes = changes_of(view, Detail::kWhether).size();
    log = log_text(view->index.snapshot(), true);
  };
  view->survey.take(*view, Survey::Xattrs::kUpper, Detail::kWhether);
  size_t names = 0;
  view->index.each([&](Node*) { ++names; });
  if (names >= kWorthThreads) {
    side_by_side(scan, describe);
  } else {
    scan(), describe();
  }
  TRY(std::move(scanned));
  tree->changes = changes;
  TRY(replace_file(temp_fd, "log", log));
  TRY(replace_file(temp_fd, "tree", encode_tree(*tree)));
  return from_libc(fsync(temp_fd));
}

SnapshotInfo info_of(const std::string& name, const SnapshotTree& tree) {
  return {name, tree.taken / kSecond, tree.bytes, tree.changes, {}};
}

/// The layer's directory without its log being read: history and removal don't need it.
std::string no_such(const LayerPlace& place, const std::string& name) {
  return "layer " + place.name + ": " + name + ": no such snapshot (viewsh snapshot " + place.name +
         " lists them)";
}

}  // namespace

std::string check_snapshot_name(const std::string& name) {
  if (name.empty()) return "a snapshot needs a name";
  if (name[0] == '.' || name.find_first_of("/@") != std::string::npos || name.size() > 200 ||
      name.find("..") != std::string::npos) {
    return "snapshot " + name +
           ": a snapshot's name is one file name without '@' and '..' that doesn't start with a "
           "dot";
  }
  return {};
}

std::string Snapshot::read(int layer_fd, const std::string& name, Snapshot* out) {
  const std::string dir = std::string(kDir) + "/" + name;
  const auto tree = read_whole(layer_fd, (dir + "/tree").c_str());
  if (!tree) return "its tree: " + tree.error().message();
  if (std::string why = decode_tree(*tree, &out->tree); !why.empty()) return why;
  const auto log = read_whole(layer_fd, (dir + "/log").c_str());
  if (!log) return "its log: " + log.error().message();
  return parse_closed_log(*log, &out->log);
}

std::string take_snapshot(LayerView* view, const std::string& layer, const std::string& name,
                          SnapshotInfo* info) {
  const std::string what = "layer " + layer + ": snapshot " + name + ": ";
  if (std::string wrong = check_snapshot_name(name); !wrong.empty()) return wrong;
  UniqueFd dir = make_dir(view->layer->dir_fd(), kDir);
  if (!dir) return what + strerror(errno);
  if (faccessat(dir.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    return what + "exists already (viewsh snapshot --delete " + layer + " " + name + ")";
  }
  // Names with a dot are no snapshots yet; opening the layer takes them away.
  const std::string temp = ".new-" + name;
  UniqueFd temp_fd = make_dir(dir.get(), temp);
  if (!temp_fd) return what + strerror(errno);
  SnapshotTree tree;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tree.taken = now.tv_sec * kSecond + now.tv_nsec;
  Result<void> done = write_snapshot(view, temp_fd.get(), &tree);
  if (done) {
    done = from_libc(renameat2(dir.get(), temp.c_str(), dir.get(), name.c_str(), RENAME_NOREPLACE));
  }
  // Not every file system knows the flag; the lock keeps others off the name.
  if (!done && done.error() == EINVAL) {
    done = from_libc(renameat(dir.get(), temp.c_str(), dir.get(), name.c_str()));
  }
  if (!done) {
    const bool gone = remove_large_tree(dir.get(), temp).ok();
    return what + done.error().message() + (gone ? "" : " (and " + temp + " can't be removed)");
  }
  *info = info_of(name, tree);
  if (fsync(dir.get()) < 0) return what + strerror(errno);
  return {};
}

LayerStore::Answer<std::vector<SnapshotInfo>> list_snapshots(const LayerPlace& place) {
  LayerStore::Answer<std::vector<SnapshotInfo>> out;
  UniqueFd fd(::open(place.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    out.error = "layer " + place.name + ": " + strerror(errno);
    return out;
  }
  std::vector<std::pair<int64_t, SnapshotInfo>> found;
  const auto names = snapshot_names(fd.get());
  if (!names) {
    out.error = "layer " + place.name + ": its snapshots: " + names.error().message();
    return out;
  }
  for (const std::string& name : *names) {
    Snapshot snapshot;
    const std::string why = Snapshot::read(fd.get(), name, &snapshot);
    found.emplace_back(snapshot.tree.taken, info_of(name, snapshot.tree));
    found.back().second.damage = why;
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [taken, info] : found) out.value.push_back(std::move(info));
  return out;
}

LayerStore::Answer<SnapshotInfo> take_snapshot(const LayerPlace& place, const std::string& name) {
  LayerStore::Answer<SnapshotInfo> out;
  out.error = check_snapshot_name(name);
  if (!out.ok()) return out;
  auto view = place.open(true, &out.error);
  if (view) out.error = take_snapshot(view.get(), place.name, name, &out.value);
  return out;
}

LayerStore::Answer<bool> delete_snapshot(const LayerPlace& place, const std::string& name) {
  LayerStore::Answer<bool> out;
  out.error = check_snapshot_name(name);
  if (!out.ok()) return out;
  auto view = place.open(true, &out.error);
  if (!view) return out;
  const std::string what = "layer " + place.name + ": snapshot " + name + ": ";
  UniqueFd dir(
      openat(view->layer->dir_fd(), kDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // Renamed first: half a snapshot must not look like one.
  const std::string gone = ".gone-" + name;
  if (!dir || renameat(dir.get(), name.c_str(), dir.get(), gone.c_str()) < 0) {
    out.error = errno == ENOENT ? no_such(place, name) : what + strerror(errno);
    return out;
  }
  if (const auto removed = remove_large_tree(dir.get(), gone); !removed) {
    out.error = what + "can't be removed completely: " + removed.error().message();
  }
  out.value = out.ok();
  return out;
}

std::unique_ptr<LayerView> open_snapshot(const LayerPlace& place, const std::string& name,
                                         std::string* error) {
  *error = check_layer_name(place.name);
  if (error->empty()) *error = check_snapshot_name(name);
  if (!error->empty()) return nullptr;
  LayerSpec spec;
  spec.dir = place.dir;
  spec.name = place.name;
  spec.write = false;
  MountError failure;
  auto view = std::make_unique<LayerView>();
  view->layer = Layer::open(spec, &failure);
  if (!view->layer) {
    *error = failure.text;
    return nullptr;
  }
  const std::string dir = std::string(kDir) + "/" + name;
  if (faccessat(view->layer->dir_fd(), dir.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
    *error = no_such(place, name);
    return nullptr;
  }
  auto snapshot = std::make_shared<Snapshot>();
  *error = Snapshot::read(view->layer->dir_fd(), name, snapshot.get());
  if (!error->empty()) {
    *error = "layer " + place.name + ": snapshot " + name + ": " + *error;
    return nullptr;
  }
  for (const Transaction& t : snapshot->log) view->index.apply(t);
  for (const TreeEntry& e : snapshot->tree.entries) {
    if (e.anchor || e.path.empty()) continue;
    Node* node = view->index.make(e.path);
    node->state = Node::State::kUpper;
    node->type = e.type;
  }
  view->index.each([&](Node* node) {
    node->loaded = true;
    if (node->meta && !node->meta->redirect.empty()) {
      view->sources.emplace(node->meta->redirect, node);
    }
  });
  view->objects = place.dir + "/" + Snapshot::objects(name) + "/";
  view->frozen = std::shared_ptr<const SnapshotTree>(snapshot, &snapshot->tree);
  return view;
}

}  // namespace viewsh::viewfs
