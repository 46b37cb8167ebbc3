// The course of a commit: prepare, write down what is going to be done, do it, say that it is done,
// clean up. Until the third is complete, everything can be taken back.
#include "commit.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include <climits>

#include "commit_apply.h"
#include "commit_plan.h"
#include "commit_script.h"
#include "cow_host.h"
#include "layer_look.h"
#include "layer_shared.h"

namespace viewsh::viewfs {
namespace {

/// A tree as deep as can be is worked on with a descriptor for each directory.
void allow_many_descriptors() {
  struct rlimit limit {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // else fewer have to do
}

std::string random_id() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) {
    number = static_cast<uint64_t>(getpid());
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 12; ++i, number >>= 4) out += kDigits[number & 15];
  return out;
}

/// Programs that a shell starts take no longer paths.
std::string too_long(const LayerView& view, const CommitPlan& plan) {
  constexpr size_t kRoom = PATH_MAX - 2 * NAME_MAX;  // for "./", temporary names and new ones
  const auto check = [&](const std::string& path) {
    const bool fits = view.upper_host(path).size() < kRoom;
    return fits ? std::string() : view.view_path(path) + ": the path is too long for a script";
  };
  std::string why;
  for (const Item& item : plan.items) why = why.empty() ? check(item.path) : why;
  for (const InPlace& in : plan.record.in_place) why = why.empty() ? check(in.path) : why;
  for (const Rename& r : plan.record.renames) why = why.empty() ? check(r.from_dir) : why;
  for (const Rename& r : plan.record.renames) why = why.empty() ? check(r.to_dir) : why;
  for (const Finish& f : plan.record.finish) why = why.empty() ? check(f.path) : why;
  return why;
}

UniqueFd open_lower(const LayerView& view, std::string* error) {
  UniqueFd fd(open(view.layer->lower().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) *error = view.layer->lower() + ": " + strerror(errno);
  return fd;
}

std::string why_not(const char* what, const Result<void>& done) {
  return done ? std::string() : what + done.error().message();
}

/// One commit of one layer.
class Course {
 public:
  Course(LayerView* view, const CommitRecord& record, Tree* lower, const CommitOptions& options)
      : view_(*view),
        record_(record),
        journal_(view->layer->dir()),
        lower_(*lower),
        run_(record, lower, *view->layer, options.progress) {}

  /// From the plan to the point of no return, and beyond.
  std::string go(CommitPlan* plan, const CommitOptions& options) {
    if (const auto begun = journal_.begin(record_); !begun) {
      return why_not("journal: ", begun) + "; nothing was written";
    }
    std::string why = run_.prepare();
    if (why.empty()) why = prepare_commit(&view_, &lower_, plan, options.progress);
    if (why.empty()) why = why_not("sync: ", sync_commit(&lower_, record_));
    if (why.empty()) why = why_not("journal: ", journal_.ready(record_));
    if (!why.empty()) return taken_back(why, false);
    why = run_.apply();
    // What can be done before it is said that all is done needs no sync of its own.
    const bool last = record_.ends_with_attributes();
    if (why.empty() && last) why = run_.finish_directories();
    if (why.empty()) why = settle();
    if (!why.empty()) return taken_back(why, true);
    return last ? std::string() : clean();
  }
  /// It can be done without renames out of the layer; all was taken back.
  bool can_do_without() const { return run_.elsewhere() && undone_; }
  /// The same, and nothing is taken back yet.
  bool elsewhere() const { return run_.elsewhere(); }

  std::string go_on() {
    if (record_.stage == CommitRecord::Stage::kApplied) return clean();
    if (const auto known = journal_.read(); !known) return "journal: " + known.error().message();
    std::string why = run_.loosen(true);
    size_t done = 0;
    if (why.empty()) why = run_.renamed(&done);
    if (why.empty()) why = run_.half_undone(done);
    if (why.empty()) why = run_.resume(done);
    if (why.empty()) why = settle();
    return why.empty() ? clean() : why + "; it is still unfinished";
  }

  std::string back() {
    std::string why;
    if (record_.stage == CommitRecord::Stage::kReady) {
      why = run_.loosen(true);
      size_t done = 0;
      if (why.empty()) why = run_.renamed(&done);
      if (why.empty()) why = run_.undo(done);
      if (const auto known = journal_.read(); why.empty() && !known) {
        why = "journal: " + known.error().message();
      }
      // On disk before the journal says so: what it then removes may be what was to be kept.
      if (why.empty()) why = why_not("sync: ", sync_commit(&lower_, record_));
      if (why.empty()) why = why_not("journal: ", journal_.taken_back());
    }
    if (why.empty() && record_.stage != CommitRecord::Stage::kNothing) {
      why = run_.undo_preparation();
    }
    if (why.empty()) why = why_not("sync: ", sync_commit(&lower_, record_));
    return why.empty() ? closed() : why;
  }

 private:
  /// All changes are made; from here on there is no way back.
  std::string settle() {
    const std::string why = why_not("sync: ", sync_commit(&lower_, record_));
    return why.empty() ? why_not("journal: ", journal_.applied()) : why;
  }

  std::string clean() {
    std::string why = run_.finish();
    if (why.empty()) why = why_not("sync: ", sync_commit(&lower_, record_));
    if (why.empty()) return why;
    return why + "; all is committed, viewsh commit --resume cleans up";
  }

  /// Nothing of the commit is left but times of change.
  std::string closed() {
    if (std::string why = look_into(&view_); !why.empty()) return why;
    // On a full disk this can't be written down; what is undone is undone all the same, and the
    // next commit asks once more than it has to.
    (void)forget_own_changes(&view_, record_);
    return why_not("journal: ", journal_.remove());
  }

  std::string taken_back(const std::string& why, bool changed) {
    std::string undone;
    if (changed) undone = run_.undo(run_.done());
    if (undone.empty()) undone = why_not("journal: ", journal_.taken_back());
    if (undone.empty()) undone = run_.undo_preparation();
    if (undone.empty()) undone = closed();
    undone_ = undone.empty();
    if (undone.empty()) return why + "; nothing was written";
    return why + "; and it can't be taken back: " + undone;
  }

  LayerView& view_;
  const CommitRecord& record_;
  CommitJournal journal_;
  Tree& lower_;
  CommitRun run_;
  bool undone_ = false;
};

/// While files are away from upper/ nothing of the layer may have to be put right: its log must be
/// as after closing.
std::string close_log(LayerView* view) {
  const auto log = read_whole(view->layer->dir_fd(), "log");
  const std::string empty = log_text({}, true);
  const std::string mark = empty.substr(empty.rfind('\n', empty.size() - 2) + 1);
  if (log && log->ends_with("\n" + mark)) return {};
  return why_not("log: ", view->layer->compact(view->index.snapshot(), true));
}

}  // namespace

std::string apply_changes(LayerView* view, const Selection& selection,
                          const std::vector<NodeChange>& changes, const CommitOptions& options) {
  allow_many_descriptors();
  std::string error;
  const UniqueFd root = open_lower(*view, &error);
  if (!root) return error;
  Tree lower(root.get());
  // What others share inodes with, or what stays of the layer, keeps its names in upper/.
  const auto snapshots = snapshot_names(view->layer->dir_fd());
  if (!snapshots) return "its snapshots: " + snapshots.error().message() + "; nothing was written";
  bool direct = selection.whole() && snapshots->empty();
  for (;; direct = false) {
    CommitPlan plan;
    plan.direct = direct;
    plan.record.id = random_id();
    error = plan_commit(view, selection, changes, &lower, &plan);
    if (error.empty() && !plan.record.direct.empty()) error = close_log(view);
    if (!error.empty()) return error + "; nothing was written";
    Course course(view, plan.record, &lower, options);
    error = course.go(&plan, options);
    if (!course.can_do_without()) return error;
    // What was taken back may have other times than before.
    lower.forget();
    view->survey = Survey();
  }
}

std::string why_not_applied(LayerView* view, const Selection& selection,
                            const std::vector<NodeChange>& changes) {
  std::string error;
  const UniqueFd root = open_lower(*view, &error);
  if (!root) return error;
  Tree lower(root.get());
  CommitPlan plan;
  const auto snapshots = snapshot_names(view->layer->dir_fd());
  if (!snapshots) return "snapshots: " + snapshots.error().message();
  plan.direct = selection.whole() && snapshots->empty();
  return plan_commit(view, selection, changes, &lower, &plan);
}

std::string script_of(LayerView* view, const Selection& selection,
                      const std::vector<NodeChange>& changes, std::string* error) {
  const UniqueFd root = open_lower(*view, error);
  if (!root) return {};
  Tree lower(root.get());
  CommitPlan plan;
  plan.record.id = random_id();
  *error = plan_commit(view, selection, changes, &lower, &plan);
  if (error->empty()) *error = too_long(*view, plan);
  if (!error->empty()) return {};
  auto script = write_script(*view, plan);
  if (!script) *error = "extended attributes: " + script.error().message();
  return script ? std::move(*script) : std::string();
}

std::string finish_commit(LayerView* view, const CommitRecord& record, const CommitOptions& options,
                          bool* anew) {
  allow_many_descriptors();
  std::string error;
  const UniqueFd root = open_lower(*view, &error);
  if (!root) return error;
  Tree lower(root.get());
  Course course(view, record, &lower, options);
  error = course.go_on();
  *anew = course.elsewhere();
  return error;
}

std::string undo_commit(LayerView* view, const CommitRecord& record, const CommitOptions& options) {
  allow_many_descriptors();
  std::string error;
  const UniqueFd root = open_lower(*view, &error);
  if (!root) return error;
  Tree lower(root.get());
  return Course(view, record, &lower, options).back();
}

}  // namespace viewsh::viewfs
