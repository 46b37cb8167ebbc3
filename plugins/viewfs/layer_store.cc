#include "layer_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "commit.h"
#include "cow_host.h"
#include "host_ops.h"
#include "layer_compare.h"
#include "layer_look.h"
#include "layer_restore.h"
#include "layer_shared.h"
#include "layer_verify.h"
#include "layer_view.h"
#include "remove_tree.h"
#include "transfer_store.h"

namespace viewsh {
namespace {

using viewfs::LayerView;
using viewfs::NodeChange;
using viewfs::Selection;

constexpr char kRemoved[] = ".removed-";

class Store final : public LayerStore {
 public:
  explicit Store(Host& host) : host_(host) {}

  Answer<std::vector<LayerInfo>> layers() override {
    Answer<std::vector<LayerInfo>> out;
    auto names = this->names();
    out.error = names.error;
    for (const std::string& name : names.value) out.value.push_back(info(name));
    return out;
  }

  Answer<std::vector<std::string>> names() override {
    Answer<std::vector<std::string>> out;
    DIR* dir = opendir(layers_dir().c_str());
    if (dir == nullptr) {
      if (errno != ENOENT) out.error = layers_dir() + ": " + strerror(errno);
      return out;
    }
    std::vector<std::string> gone;
    errno = 0;
    while (const dirent* entry = readdir(dir)) {
      const std::string name = entry->d_name;
      if (name[0] != '.') out.value.push_back(name);
      if (name[0] == '.' && abandoned(name)) gone.push_back(name);
      errno = 0;  // readdir(3): the end of the directory leaves it
    }
    if (errno != 0) out.error = layers_dir() + ": " + strerror(errno);
    // What can't be removed now is met again by the next command; no layer is called that.
    for (const std::string& name : gone) (void)viewfs::remove_large_tree(dirfd(dir), name);
    closedir(dir);
    std::sort(out.value.begin(), out.value.end());
    return out;
  }

  Answer<std::vector<Change>> diff(const std::string& layer,
                                   const std::vector<std::string>& paths) override {
    Answer<std::vector<Change>> out;
    auto view = open(layer, false, &out.error);
    if (!view) return out;
    const Selection selection(*view, paths, &out.error);
    for (NodeChange& c : selected(view.get(), layer, selection, &out.error)) {
      out.value.push_back(std::move(c.change));
    }
    return out;
  }

  Answer<CommitReport> commit(const std::string& layer, const std::vector<std::string>& paths,
                              const CommitOptions& options) override {
    Answer<CommitReport> out;
    auto view = open(layer, !options.dry_run, &out.error);
    if (!view) return out;
    const Selection selection(*view, paths, options, &out.error);
    const auto changes = to_commit(view.get(), layer, selection, &out);
    if (!out.ok()) return out;
    const bool stop = !out.value.conflicts.empty();
    if (stop && options.dry_run) return out;
    if (!stop && selection.whole()) out.error = borne_by(layer);
    if (!stop && out.ok() && options.dry_run) {
      out.error = viewfs::why_not_applied(view.get(), selection, changes);
      if (out.ok()) return out;
      out.error = "commit: " + out.error;
    }
    if (stop || !out.ok()) out.value.applied.clear();
    if (stop || !out.ok()) return out;
    out.error = viewfs::apply_changes(view.get(), selection, changes, options);
    if (!out.ok()) {
      out.error = "commit: " + out.error;
    } else {
      out.error = let_go(layer, std::move(view), selection);
    }
    return out;
  }

  Answer<std::string> commit_script(const std::string& layer, const std::vector<std::string>& paths,
                                    const CommitOptions& options) override {
    Answer<std::string> out;
    Answer<CommitReport> report;
    auto view = open(layer, false, &report.error);
    if (view) {
      const Selection selection(*view, paths, options, &report.error);
      const auto changes = to_commit(view.get(), layer, selection, &report);
      if (report.ok() && !report.value.conflicts.empty()) {
        report.error = "conflict: " + report.value.conflicts[0];
      }
      if (report.ok()) {
        out.value = viewfs::script_of(view.get(), selection, changes, &report.error);
      }
    }
    out.error = report.error;
    return out;
  }

  Answer<CommitReport> resume_commit(const std::string& layer,
                                     const CommitOptions& options) override {
    using Stage = viewfs::CommitRecord::Stage;
    Answer<CommitReport> out;
    viewfs::CommitRecord record;
    auto view = open_unfinished(layer, &record, &out.error);
    if (!view) return out;
    bool anew = record.stage < Stage::kReady;
    if (!anew) out.error = viewfs::finish_commit(view.get(), record, options, &anew);
    if (anew) {
      // Nothing was changed yet, or what was can't be gone on with in this way: it is done anew,
      // and what changed underneath meanwhile is looked at.
      out.error = viewfs::undo_commit(view.get(), record, options);
      if (!out.ok()) return out;
      view.reset();
      view = open(layer, true, &out.error);
      if (!view) return out;
      const Selection selection(record.rest, record.decisions, options.force);
      const auto changes = to_commit(view.get(), layer, selection, &out);
      if (!out.ok() || !out.value.conflicts.empty()) {
        out.value.applied.clear();
        return out;
      }
      out.error = viewfs::apply_changes(view.get(), selection, changes, options);
    }
    if (!out.ok()) {
      out.error = "commit: " + out.error;
      return out;
    }
    out.error = let_go(layer, std::move(view), Selection(record.rest, record.decisions));
    return out;
  }

  Answer<bool> undo_commit(const std::string& layer, const CommitOptions& options) override {
    Answer<bool> out;
    viewfs::CommitRecord record;
    auto view = open_unfinished(layer, &record, &out.error);
    if (!view) return out;
    if (record.stage == viewfs::CommitRecord::Stage::kApplied) {
      out.error = "layer " + layer + ": all of it is committed already; viewsh commit --resume " +
                  layer + " cleans up";
      return out;
    }
    out.error = viewfs::undo_commit(view.get(), record, options);
    out.value = out.ok();
    return out;
  }

  Answer<bool> discard(const std::string& layer, const std::vector<std::string>& paths) override {
    Answer<bool> out;
    auto view = open(layer, true, &out.error);
    if (!view) return out;
    const Selection selection(*view, paths, &out.error);
    (void)selected(view.get(), layer, selection, &out.error, true);
    if (out.ok() && selection.all()) out.error = borne_by(layer);
    if (!out.ok()) return out;
    if (selection.all()) {
      out.error = remove_layer(layer, std::move(view));
    } else {
      out.error = viewfs::entangled(*view, selection);
      if (out.ok()) out.error = viewfs::drop_selected(view.get(), selection, false);
    }
    out.value = out.ok();
    return out;
  }

  Answer<TransferReport> export_to(const std::string& layer, const std::string& file,
                                   const TransferOptions& options) override {
    Answer<TransferReport> out;
    // Locked, so that it is one state of the layer.
    auto view = open(layer, true, &out.error);
    if (!view) return out;
    out = viewfs::export_layer(view.get(), file, options);
    if (!out.ok()) out.error = "layer " + layer + ": " + out.error;
    return out;
  }

  Answer<TransferReport> import_from(const std::string& file, const std::string& layer,
                                     const TransferOptions& options) override {
    Answer<TransferReport> out;
    out.error = viewfs::check_layer_name(layer);
    if (out.ok()) out = viewfs::import_layer(file, layers_dir(), layer, options);
    return out;
  }

  Answer<std::vector<SnapshotInfo>> snapshots(const std::string& layer) override {
    Answer<std::vector<SnapshotInfo>> out;
    out.error = viewfs::check_layer_name(layer);
    return out.ok() ? viewfs::list_snapshots(place(layer)) : out;
  }

  Answer<SnapshotInfo> take_snapshot(const std::string& layer, const std::string& name) override {
    return viewfs::take_snapshot(place(layer), name);
  }

  Answer<bool> delete_snapshot(const std::string& layer, const std::string& name) override {
    return viewfs::delete_snapshot(place(layer), name);
  }

  Answer<RestoreReport> restore(const std::string& layer, const std::string& name) override {
    return viewfs::restore_snapshot(place(layer), name);
  }

  Answer<std::vector<Change>> diff_snapshot(const std::string& layer, const std::string& name,
                                            const std::vector<std::string>& paths) override {
    Answer<std::vector<Change>> out;
    auto view = viewfs::open_snapshot(place(layer), name, &out.error);
    if (!view) return out;
    const Selection selection(*view, paths, &out.error);
    for (NodeChange& c : selected(view.get(), layer, selection, &out.error)) {
      out.value.push_back(std::move(c.change));
    }
    return out;
  }

  Answer<std::vector<Change>> diff_between(const std::string& layer, const std::string& from,
                                           const std::string& to,
                                           const std::vector<std::string>& paths) override {
    Answer<std::vector<Change>> out;
    auto a = viewfs::open_snapshot(place(layer), from, &out.error);
    if (!a) return out;
    auto b = to.empty() ? open(layer, false, &out.error)
                        : viewfs::open_snapshot(place(layer), to, &out.error);
    if (!b) return out;
    const Selection selection(*b, paths, &out.error);
    if (!out.ok()) return out;
    out.value = viewfs::compare_layers(*a, *b, selection);
    std::vector<NodeChange> changes;
    for (const Change& change : out.value) {
      changes.emplace_back().path = b->layer_path(change.path);
    }
    if (const std::string missed = selection.without_change(changes); !missed.empty()) {
      out.error = "layer " + layer + ": " + missed + ": nothing is changed there";
    }
    return out;
  }

  Answer<VerifyReport> verify(const std::string& layer, bool repair) override {
    return viewfs::verify_layer(place(layer), repair);
  }

 private:
  std::string layers_dir() const { return host_.state_dir() + "/layers"; }

  std::unique_ptr<LayerView> open(const std::string& name, bool write, std::string* error,
                                  bool recover = false) {
    *error = viewfs::check_layer_name(name);
    if (!error->empty()) return nullptr;
    return place(name).open(write, error, recover);
  }

  std::unique_ptr<LayerView> open_unfinished(const std::string& name, viewfs::CommitRecord* record,
                                             std::string* error) {
    auto view = open(name, true, error, true);
    if (!view) return nullptr;
    auto read = viewfs::CommitJournal(view->layer->dir()).read();
    if (read) {
      *record = std::move(*read);
      return view;
    }
    *error =
        "layer " + name + ": " +
        (read.error() == Errno(ENOENT) ? "no commit of it is unfinished"
                                       : "its commit journal " + unreadable(name, read.error()));
    return nullptr;
  }

  static std::string unreadable(const std::string& name, Errno why) {
    if (why != Errno(EINVAL)) return "can't be read: " + why.message();
    return "is damaged: viewsh layers --repair " + name + " takes back what can be";
  }

  /// What of a layer is to be committed; conflicts that aren't overruled go to the report.
  static std::vector<NodeChange> to_commit(LayerView* view, const std::string& layer,
                                           const Selection& selection, Answer<CommitReport>* out) {
    if (out->ok() && !view->layer->over().empty()) {
      out->error = "layer " + layer + ": it stands on the layer " + view->layer->over().back() +
                   ", not on the real files, and can't be committed; viewsh export " + layer +
                   " FILE writes what it changes";
    }
    if (out->ok() && view->layer->lower().empty()) {
      out->error = "layer " + layer + ": it was made over a tree that is not the host's";
    }
    if (!out->ok()) return {};
    auto changes = selected(view, layer, selection, &out->error, true);
    if (out->ok()) out->error = viewfs::entangled(*view, selection);
    if (!out->ok()) return {};
    viewfs::Conflicts conflicts(*view);
    for (const NodeChange& c : changes) {
      out->value.applied.push_back(c.change);
      std::string conflict = conflicts.of(c);
      if (!conflict.empty() && !selection.forced(c.path)) {
        out->value.conflicts.push_back(std::move(conflict));
      }
    }
    return changes;
  }

  /// What was committed leaves the layer, and an empty layer goes.
  std::string let_go(const std::string& layer, std::unique_ptr<LayerView> view,
                     const Selection& selection) {
    const bool whole = selection.whole();
    const auto snapshots = viewfs::snapshot_names(view->layer->dir_fd());
    if (!snapshots) return "layer " + layer + ": its snapshots: " + snapshots.error().message();
    if (whole && snapshots->empty()) return remove_layer(layer, std::move(view));
    std::string why =
        whole ? viewfs::empty_layer(view.get(), layer) : viewfs::look_into(view.get());
    if (!whole && why.empty()) why = viewfs::drop_selected(view.get(), selection, true);
    if (!why.empty()) return why;
    viewfs::CommitJournal journal(view->layer->dir());
    const auto done = journal.remove();
    return done ? std::string() : "journal: " + done.error().message();
  }

  viewfs::LayerPlace place(const std::string& name) const {
    return {layers_dir() + "/" + name, name,
            "of a command (process " + std::to_string(getpid()) + ")"};
  }

  LayerInfo info(const std::string& name) {
    LayerInfo out;
    out.name = name;
    out.path = layers_dir() + "/" + name;
    out.in_use = viewfs::layer_user(out.path);
    struct stat st {};
    if (stat((out.path + "/log").c_str(), &st) == 0) out.last_used = st.st_mtim.tv_sec;
    out.bytes = host_ops::measure_tree(out.path + "/upper").bytes;
    std::string error;
    auto view = open(name, false, &error, true);
    if (!view) return out;
    const UniqueFd dir(::open(out.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto journal = dir ? viewfs::CommitJournal::exists(dir.get()) : Errno::last();
    // Where it can't be told, opening the layer has said so before.
    out.unfinished = journal && *journal;
    out.at = view->layer->at();
    out.lower = view->layer->lower();
    out.over = view->layer->over();
    if (!out.unfinished) out.changes = changes_of(view.get(), viewfs::Detail::kWhether).size();
    return out;
  }

  /// `whole`: an error where a part of it can't go alone.
  static std::vector<NodeChange> selected(LayerView* view, const std::string& layer,
                                          const Selection& selection, std::string* error,
                                          bool whole = false) {
    std::vector<NodeChange> all = viewfs::changes_of(view);
    const std::string missed = selection.without_change(all);
    if (!missed.empty() && error->empty()) {
      *error = "layer " + layer + ": " + missed + ": nothing is changed there";
    }
    if (whole && error->empty()) *error = viewfs::torn(selection, all);
    std::erase_if(all, [&](const NodeChange& c) { return !selection.has(c.path); });
    return all;
  }

  /// A layer that was being removed when the process that did it was killed.
  static bool abandoned(const std::string& name) {
    const size_t at = name.rfind(kRemoved);
    if (at == std::string::npos) return false;
    const int pid = atoi(name.c_str() + at + strlen(kRemoved));
    return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
  }

  /// Why a layer can't go: another one stands on it. Empty: it can.
  std::string borne_by(const std::string& name) {
    const auto layers = names();
    if (!layers.ok()) return layers.error;
    for (const std::string& other : layers.value) {
      const UniqueFd dir(
          ::open((layers_dir() + "/" + other).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      const auto text =
          dir ? viewfs::read_whole(dir.get(), "layer") : Result<std::string>(Errno::last());
      // What isn't a layer, or went meanwhile, stands on nothing.
      if (!text && (text.error() == ENOENT || text.error() == ENOTDIR)) continue;
      if (!text) {
        return "layer " + name + ": whether the layer " + other +
               " stands on it can't be told: " + text.error().message();
      }
      viewfs::LayerHeader header;
      if (!viewfs::parse_header(*text, &header).empty()) continue;
      const auto& over = header.over;
      if (std::find(over.begin(), over.end(), name) == over.end()) continue;
      return "layer " + name + ": the layer " + other + " stands on it; viewsh discard " + other +
             " first";
    }
    return {};
  }

  std::string remove_layer(const std::string& name, std::unique_ptr<LayerView> view) {
    // Renamed first: half a layer must not look like one.
    const std::string dir = layers_dir();
    const std::string gone = "." + name + kRemoved + std::to_string(getpid());
    if (renameat(AT_FDCWD, (dir + "/" + name).c_str(), AT_FDCWD, (dir + "/" + gone).c_str()) < 0) {
      return dir + "/" + name + ": " + strerror(errno);
    }
    UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const bool removed = fd && viewfs::remove_large_tree(fd.get(), gone);
    view.reset();
    return removed ? std::string() : dir + "/" + gone + ": can't be removed completely";
  }

  Host& host_;
};

}  // namespace

std::unique_ptr<LayerStore> make_layer_store(Host& host) { return std::make_unique<Store>(host); }

}  // namespace viewsh
