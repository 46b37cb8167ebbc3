#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <ctime>

#include "cli/app.h"
#include "cli/change_text.h"
#include "cli/command.h"
#include "cli/layer_text.h"
#include "cli/parse_text.h"
#include "cli/patch.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/view_options.h"

namespace viewsh {
namespace {

constexpr size_t kShownChanges = 20;

std::string fresh_layer_name() {
  time_t now = time(nullptr);
  tm parts{};
  localtime_r(&now, &parts);
  std::array<char, 64> text{};
  size_t length = strftime(text.data(), text.size(), "try-%Y%m%d-%H%M%S-", &parts);
  return std::string(text.data(), length) + std::to_string(getpid());
}

/// viewsh try. What it says itself goes to standard error: standard output is COMMAND's.
class Try : public Command {
 public:
  void declare(CLI::App* app) override {
    view_.declare(app);
    declare_run_options(app, &options_);
    const std::string group = "Afterwards, without asking";
    auto* commit = app->add_flag("--commit", commit_, "apply the changes")->group(group);
    auto* keep = app->add_flag("--keep", keep_, "keep the layer")->group(group);
    auto* discard = app->add_flag("--discard", discard_, "throw the changes away")->group(group);
    commit->excludes(keep)->excludes(discard);
    keep->excludes(discard);
  }
  Rest rest() const override { return {"[--] COMMAND [ARG...]", 1, kMany, true}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    store_ = layer_store(&error);
    if (store_ == nullptr) return fail_with(error);
    if ((error = name_layer())) return fail_with(error);
    ViewDraft draft;
    put_cow_root(&draft);
    if ((error = view_.build(&draft))) return fail_with(error);
    if ((error = take_cow_roots(&draft.spec))) return fail_with(error);
    options_.command = rest;
    int status = run_view(draft.spec, options_);
    fflush(stdout);
    return finish(status);
  }

 private:
  /// The name of --layer, which has to be new, or a fresh one.
  UserError name_layer() {
    std::vector<std::string> names = view_.layers();
    view_.drop_layers();
    if (names.size() > 1) return {"--layer " + printable(names[1]) + ": try has one layer"};
    layer_ = names.empty() ? fresh_layer_name() : names[0];
    if (names.empty()) return {};
    std::string wrong = check_layer_name(layer_);
    if (!wrong.empty()) return {"--layer " + printable(layer_) + ": " + wrong};
    LayerInfo info;
    if (find_layer(store_, layer_, &info)) return {};
    return {"--layer " + layer_ +
            ": exists already; to go on with it: viewsh run --cow / --layer " + layer_};
  }

  /// Under everything else: a bind over it writes to where it was bound from, as in `run`.
  void put_cow_root(ViewDraft* draft) const {
    MountSpec mount;
    mount.type = "cow";
    mount.at = "/";
    mount.layer = layer_;
    mount.place = {"try"};
    draft->add_mount(std::move(mount), {{"try"}, {}});
  }

  /// A profile or an option that has a copy-on-write root of its own means the same one.
  static UserError take_cow_roots(ViewSpec* spec) {
    auto second = spec->mounts.begin() + 1;
    for (auto mount = second; mount != spec->mounts.end(); ++mount) {
      bool root = is_copy_on_write(mount->type) && mount->at == "/";
      if (root && !mount->layer.empty()) {
        return {mount->place.text +
                ": try has a layer of its own for /; use viewsh run to work in " + mount->layer};
      }
    }
    auto same = [](const MountSpec& mount) {
      return is_copy_on_write(mount.type) && mount.at == "/";
    };
    std::vector<ExceptSpec> except;
    for (auto mount = second; mount != spec->mounts.end(); ++mount) {
      if (same(*mount)) except.insert(except.end(), mount->except.begin(), mount->except.end());
    }
    spec->mounts[0].except = except;
    spec->mounts.erase(std::remove_if(second, spec->mounts.end(), same), spec->mounts.end());
    return {};
  }

  int finish(int status) {
    LayerInfo info;
    if (find_layer(store_, layer_, &info)) return status;  // the view was never made
    auto diff = store_->diff(layer_, {});
    if (!diff.ok()) {
      print_error(diff.error);
      tell_kept();
      return status != 0 ? status : kFailure;
    }
    if (diff.value.empty()) {
      print_error("no changes");
      auto dropped = store_->discard(layer_, {});
      if (!dropped.ok()) print_error(dropped.error);
      return status;
    }
    sort_changes(&diff.value);
    tell_changes(diff.value);
    return settle(diff.value, status);
  }

  void tell_changes(const std::vector<Change>& changes) const {
    bool colour = colour_wanted(STDERR_FILENO);
    std::string text = "viewsh: " + counted(changes.size(), "change", "changes") + " (" +
                       change_counts(changes) + ") in layer " + layer_ + "\n";
    for (size_t i = 0; i < std::min(changes.size(), kShownChanges); ++i) {
      text += "  " + change_line(changes[i], colour) + "\n";
    }
    if (changes.size() > kShownChanges) {
      text += "  ... and " + std::to_string(changes.size() - kShownChanges) +
              " more: viewsh diff " + layer_ + "\n";
    }
    fwrite(text.data(), 1, text.size(), stderr);
  }

  int settle(const std::vector<Change>& changes, int status) {
    char answer = 'k';
    if (commit_) answer = 'c';
    if (discard_) answer = 'd';
    bool asked = commit_ || discard_ || keep_;
    bool interactive = !asked && can_ask();
    while (interactive) {
      Reply reply = ask("[c]ommit, [k]eep, [d]iscard, show the [p]atch? (keep) ");
      answer = reply.letter == 0 ? 'k' : reply.letter;
      if (reply.signal != 0) status = 128 + reply.signal;
      if (answer == 'p') {
        UserError error = write_patch(changes, STDERR_FILENO, colour_wanted(STDERR_FILENO));
        if (error) print_error(error.text);
      }
      interactive = answer != 'c' && answer != 'k' && answer != 'd';
    }
    bool done = true;
    if (answer == 'c') done = commit();
    if (answer == 'd') done = discard();
    if (answer == 'k') tell_kept();
    return done || status != 0 ? status : kFailure;
  }

  bool commit() {
    auto answer = store_->commit(layer_, {}, {});
    if (!answer.ok()) print_error(answer.error);
    for (const std::string& conflict : answer.value.conflicts) {
      print_error("conflict: " + printable(conflict));
    }
    if (!answer.ok() || !answer.value.conflicts.empty()) {
      print_error("nothing was committed");
      tell_kept();
      return false;
    }
    print_error("committed: " + change_counts(answer.value.applied));
    LayerInfo info;
    if (find_layer(store_, layer_, &info)) return true;
    auto dropped = store_->discard(layer_, {});
    if (!dropped.ok()) print_error(dropped.error);
    return true;
  }

  bool discard() {
    auto answer = store_->discard(layer_, {});
    print_error(answer.ok() ? "discarded" : answer.error);
    return answer.ok();
  }

  void tell_kept() const {
    std::string text = "viewsh: kept as layer " + layer_ + "; to go on:\n";
    for (const char* command : {"diff --patch ", "commit ", "discard ", "run --cow / --layer "}) {
      text += std::string("  viewsh ") + command + layer_ + "\n";
    }
    fwrite(text.data(), 1, text.size(), stderr);
  }

  ViewOptions view_;
  RunOptions options_;
  bool commit_ = false;
  bool keep_ = false;
  bool discard_ = false;
  LayerStore* store_ = nullptr;
  std::string layer_;
};

}  // namespace

std::unique_ptr<Command> make_try() { return std::make_unique<Try>(); }

}  // namespace viewsh
