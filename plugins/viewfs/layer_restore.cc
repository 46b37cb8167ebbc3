// Going back to a snapshot. The state to be is made in work/; a rename to `restored` decides, and
// from then on whoever opens the layer puts its parts into place first.
#include "layer_restore.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <functional>

#include "cow_host.h"
#include "layer.h"
#include "layer_leaving.h"
#include "layer_reserve.h"
#include "layer_shared.h"
#include "remove_tree.h"

namespace viewsh::viewfs {
namespace {

constexpr char kDecided[] = "restored";

/// One directory of the layer gives way to that of the new state.
Result<void> put_dir(int layer_fd, const std::string& name) {
  const std::string next = std::string(kDecided) + "/" + name;
  const std::string old = std::string(kDecided) + "/old-" + name;
  TRY_ASSIGN(const bool decided, is_there(layer_fd, next));
  if (!decided) return {};
  TRY_ASSIGN(const bool there, is_there(layer_fd, name));
  if (there) {
    TRY(from_libc(renameat(layer_fd, name.c_str(), layer_fd, old.c_str())));
  }
  return from_libc(renameat(layer_fd, next.c_str(), layer_fd, name.c_str()));
}

Result<void> roll_forward(int layer_fd) {
  const UniqueFd decided(openat(layer_fd, kDecided, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!decided) return Errno::last();
  TRY(remove_listed(layer_fd, decided.get()));
  TRY(put_dir(layer_fd, "upper"));
  TRY(put_dir(layer_fd, "links"));
  const std::string log = std::string(kDecided) + "/log";
  TRY_ASSIGN(const bool logged, is_there(layer_fd, log));
  if (logged) TRY(from_libc(renameat(layer_fd, log.c_str(), layer_fd, "log")));
  TRY(from_libc(fsync(layer_fd)));
  return remove_large_tree(layer_fd, kDecided);
}

UniqueFd make_dir(int at, const std::string& name) {
  if (mkdirat(at, name.c_str(), 0700) < 0) return UniqueFd();
  return UniqueFd(openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

Result<void> prepare(const Snapshot& snapshot, int objects_fd, int at,
                     std::vector<std::string>* notes) {
  const UniqueFd upper = make_dir(at, "upper");
  const UniqueFd links = upper ? make_dir(at, "links") : UniqueFd();
  if (!links) return Errno::last();
  TRY(build_tree(snapshot.tree, objects_fd, upper.get(), links.get(), notes));
  Transaction state;
  for (const Transaction& t : snapshot.log) {
    state.records.insert(state.records.end(), t.records.begin(), t.records.end());
  }
  TRY(replace_file(at, "log", log_text(state, true)));
  return from_libc(fsync(at));
}

/// What `prepare` makes in a directory decides what becomes of the layer, whose lock `layer` holds.
Result<void> decide(Layer* layer, const std::function<Result<void>(int)>& prepare) {
  const std::string temp = layer->temp_name();
  UniqueFd at = make_dir(layer->work_fd(), temp);
  if (!at) return Errno::last();
  Result<void> done = prepare(at.get());
  if (done) {
    done = from_libc(renameat(layer->work_fd(), temp.c_str(), layer->dir_fd(), kDecided));
  }
  if (!done) {
    // work/ is emptied when the layer is opened, too
    (void)remove_large_tree(layer->work_fd(), temp);
    return done;
  }
  TRY(from_libc(fsync(layer->dir_fd())));
  return roll_forward(layer->dir_fd());
}

/// The state of `snapshot` takes the place of the layer's.
Result<void> switch_to(const Snapshot& snapshot, int objects_fd, Layer* layer,
                       std::vector<std::string>* notes) {
  return decide(layer, [&](int at) { return prepare(snapshot, objects_fd, at, notes); });
}

Result<std::string> free_name(int layer_fd) {
  char stamp[64];
  const time_t now = time(nullptr);
  tm parts{};
  localtime_r(&now, &parts);
  strftime(stamp, sizeof stamp, "before-restore-%Y%m%d-%H%M%S", &parts);
  std::string name = stamp;
  for (int i = 2;; ++i) {
    TRY_ASSIGN(const bool taken, is_there(layer_fd, "snapshots/" + name));
    if (!taken) return name;
    name = std::string(stamp) + "-" + std::to_string(i);
  }
}

}  // namespace

LayerStore::Answer<RestoreReport> restore_snapshot(const LayerPlace& place,
                                                   const std::string& name) {
  LayerStore::Answer<RestoreReport> out;
  // Read first: nothing is done for the sake of a snapshot that is damaged.
  if (!open_snapshot(place, name, &out.error)) return out;
  auto view = place.open(true, &out.error);
  if (!view) return out;
  const std::string what = "layer " + place.name + ": snapshot " + name + ": ";
  const int fd = view->layer->dir_fd();
  Snapshot snapshot;
  if (std::string why = Snapshot::read(fd, name, &snapshot); !why.empty()) {
    out.error = what + why;
    return out;
  }
  const std::string objects = Snapshot::objects(name);
  UniqueFd objects_fd(openat(fd, objects.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!objects_fd) {
    out.error = what + "its objects: " + strerror(errno);
    return out;
  }
  SnapshotInfo before;
  const auto kept_as = free_name(fd);
  if (!kept_as) {
    out.error = "layer " + place.name + ": snapshots: " + kept_as.error().message();
    return out;
  }
  out.error = take_snapshot(view.get(), place.name, *kept_as, &before);
  if (!out.ok()) return out;
  out.value.kept_as = before.name;
  const auto done = switch_to(snapshot, objects_fd.get(), view->layer.get(), &out.value.notes);
  if (!done) {
    out.error = what +
                (done.error() == EUCLEAN ? "its objects are damaged" : done.error().message()) +
                "; what the layer held is also kept as " + before.name;
  }
  return out;
}

std::string empty_layer(LayerView* view, const std::string& layer) {
  const auto done = switch_to({}, -1, view->layer.get(), nullptr);
  return done ? std::string() : "layer " + layer + ": " + done.error().message();
}

Result<void> drop_from_layer(Layer* layer, const Leaving& leaving, const Transaction& state) {
  const auto prepare = [&](int at) -> Result<void> {
    TRY(write_leaving(at, leaving));
    TRY(replace_file(at, "log", log_text(state, true)));
    return from_libc(fsync(at));
  };
  auto done = decide(layer, prepare);
  const bool full = !done && (done.error() == ENOSPC || done.error() == EDQUOT);
  if (full && spend_reserve(layer->dir_fd())) done = decide(layer, prepare);
  return done;
}

bool finish_restore(const std::string& dir, const std::string& name, MountError* error) {
  UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return true;  // who opens the layer next says why
  const std::string what =
      "layer " + name + ": a restore or discard was cut short and can't be ended: ";
  const auto decided = is_there(fd.get(), kDecided);
  if (!decided) *error = {decided.error(), what + decided.error().message()};
  if (!decided || !*decided) return decided.ok();
  const auto lock = open_plain(fd.get(), "lock", O_RDWR | O_CREAT);
  if (!lock) {
    *error = {lock.error(), what + lock.error().message()};
    return false;
  }
  if (!lock_layer(lock->get(), dir, LOCK_EX)) {
    *error = {Errno(EBUSY), "layer " + name + ": in use by view " + layer_user(dir)};
    return false;
  }
  const auto done = roll_forward(fd.get());
  if (!done) *error = {done.error(), what + done.error().message()};
  return done.ok();
}

}  // namespace viewsh::viewfs
