#include <CLI/CLI.hpp>

#include "cli/change_text.h"
#include "cli/command.h"
#include "cli/commit_pick.h"
#include "cli/layer_text.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh commit
class Commit : public Command {
 public:
  void declare(CLI::App* app) override {
    auto* dry = app->add_flag("--dry-run", options_.dry_run, "only say what would be done");
    app->add_flag("--force", options_.force, "also over what changed underneath meanwhile");
    app->add_option("--ours", options_.ours, "the same for what is at or below PATH")
        ->option_text("PATH")
        ->allow_extra_args(false);
    app->add_option("--theirs", options_.theirs,
                    "keep what is underneath at or below PATH, and drop the layer's")
        ->option_text("PATH")
        ->allow_extra_args(false);
    auto* pick = app->add_flag("-i,--interactive", interactive_, "ask for each change");
    auto* script =
        app->add_flag("--script", script_, "print a shell script that does it, and do nothing");
    app->add_flag("--json", json_, "as JSON");
    const std::string group = "A commit that was cut short";
    auto* resume = app->add_flag("--resume", resume_, "go on with it")->group(group);
    auto* undo = app->add_flag("--undo", undo_, "take it back")->group(group);
    script->excludes(dry)->excludes(pick);
    for (auto* option : {dry, pick, script}) option->excludes(resume)->excludes(undo);
    resume->excludes(undo);
  }
  Rest rest() const override { return {"LAYER [PATH...]", 1, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    const std::string& layer = rest[0];
    if ((error = known_layer(store, layer))) return fail_with(error);
    std::vector<std::string> paths = absolute_paths({rest.begin() + 1, rest.end()});
    options_.ours = absolute_paths(options_.ours);
    options_.theirs = absolute_paths(options_.theirs);
    if (resume_ || undo_) {
      if (!paths.empty()) return fail_with({"commit: --resume and --undo take no PATH"});
      return undo_ ? undo(store, layer) : resume(store, layer);
    }
    if (script_) return script(store, layer, paths);
    if (interactive_) return pick(store, layer, paths);
    return commit_layer(store, layer, paths, options_, json_);
  }

 private:
  int resume(LayerStore* store, const std::string& layer) {
    Progress progress("commit");
    options_.progress = [&](const char* phase, uint64_t done, uint64_t total) {
      progress.update({phase, done, total});
    };
    auto answer = store->resume_commit(layer, options_);
    progress.clear();
    if (!answer.ok()) return fail_with({answer.error});
    if (!answer.value.conflicts.empty()) return tell_commit(layer, answer.value, false, json_);
    return tell(layer, "resumed", "committed");
  }

  int undo(LayerStore* store, const std::string& layer) {
    auto answer = store->undo_commit(layer, options_);
    if (!answer.ok()) return fail_with({answer.error});
    return tell(layer, "undone", "the commit is taken back");
  }

  int tell(const std::string& layer, const char* key, const char* text) const {
    print(json_ ? json_text({{"layer", layer}, {key, true}}) : layer + ": " + text + "\n");
    return 0;
  }

  int script(LayerStore* store, const std::string& layer, const std::vector<std::string>& paths) {
    auto answer = store->commit_script(layer, paths, options_);
    if (answer.error.rfind("conflict: ", 0) == 0) {
      print_error(printable(answer.error));
      return 1;
    }
    if (!answer.ok()) return fail_with({answer.error});
    print(answer.value);
    return 0;
  }

  int pick(LayerStore* store, const std::string& layer, const std::vector<std::string>& paths) {
    if (!can_ask()) return fail_with({"commit --interactive: there is no terminal to ask on"});
    auto diff = store->diff(layer, paths);
    if (!diff.ok()) return fail_with({diff.error});
    sort_changes(&diff.value);
    Picked picked;
    if (UserError error = pick_changes(diff.value, &picked)) return fail_with(error);
    if (picked.signal != 0) return 128 + picked.signal;
    print_error("chosen: " + change_counts(picked.yes) + "; staying: " + change_counts(picked.no));
    if (picked.yes.empty()) return 0;
    if (picked.no.empty()) return commit_layer(store, layer, paths, options_, json_);
    std::vector<std::string> chosen;
    for (const Change& change : picked.yes) chosen.push_back(change.path);
    for (const Change& change : picked.no) options_.skip.push_back(change.path);
    return commit_layer(store, layer, chosen, options_, json_);
  }

  CommitOptions options_;
  bool interactive_ = false;
  bool script_ = false;
  bool resume_ = false;
  bool undo_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_commit() { return std::make_unique<Commit>(); }

}  // namespace viewsh
