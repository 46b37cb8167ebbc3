#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/change_text.h"
#include "cli/command.h"
#include "cli/layer_text.h"
#include "cli/patch.h"
#include "cli/terminal.h"
#include "cli/text.h"

namespace viewsh {
namespace {

std::string size_text(const ChangeSize& size) {
  if (size.binary) {
    return "binary, " + std::to_string(size.old_bytes) + " -> " + std::to_string(size.new_bytes) +
           " bytes";
  }
  if (size.added == 0 && size.removed == 0) return "";
  return "+" + std::to_string(size.added) + " -" + std::to_string(size.removed);
}

/// viewsh diff
class Diff : public Command {
 public:
  void declare(CLI::App* app) override {
    auto* patch = app->add_flag("--patch", patch_, "text diffs, as git writes them");
    auto* stat = app->add_flag("--stat", stat_, "how many lines of each file changed");
    auto* json = app->add_flag("--json", json_, "as JSON");
    patch->excludes(stat)->excludes(json);
    stat->excludes(json);
  }
  Rest rest() const override { return {"LAYER[@SNAPSHOT[..[SNAPSHOT]]] [PATH...]", 1, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    auto answer = changes(store, rest[0], absolute_paths({rest.begin() + 1, rest.end()}), &error);
    if (error) return fail_with(error);
    if (!answer.ok()) return fail_with({answer.error});
    sort_changes(&answer.value);
    error = tell(answer.value);
    return error ? fail_with(error) : 0;
  }

 private:
  /// `what`: LAYER, LAYER@SNAPSHOT, LAYER@SNAPSHOT.. or LAYER@SNAPSHOT..SNAPSHOT.
  static LayerStore::Answer<std::vector<Change>> changes(LayerStore* store, const std::string& what,
                                                         const std::vector<std::string>& paths,
                                                         UserError* error) {
    const size_t at = what.rfind('@');
    // A layer may have an '@' in its name, a snapshot has none.
    *error = known_layer(store, what);
    if (!*error) return store->diff(what, paths);
    if (at == std::string::npos) return {};
    const std::string layer = what.substr(0, at);
    const std::string range = what.substr(at + 1);
    *error = known_layer(store, layer);
    if (*error) return {};
    const size_t dots = range.find("..");
    if (dots == std::string::npos) return store->diff_snapshot(layer, range, paths);
    return store->diff_between(layer, range.substr(0, dots), range.substr(dots + 2), paths);
  }

  UserError tell(const std::vector<Change>& changes) const {
    bool colour = colour_wanted(STDOUT_FILENO);
    if (patch_) return write_patch(changes, STDOUT_FILENO, colour);
    if (stat_) return tell_stat(changes, colour);
    Json list = Json::array();
    for (const Change& change : changes) {
      list.push_back(change_json(change));
      if (!json_) print(change_line(change, colour) + "\n");
    }
    if (json_) print(json_text(list));
    return {};
  }

  static UserError tell_stat(const std::vector<Change>& changes, bool colour) {
    uint64_t added = 0;
    uint64_t removed = 0;
    for (const Change& change : changes) {
      ChangeSize size;
      if (UserError error = measure_change(change, &size)) return error;
      std::string text = size_text(size);
      print(change_line(change, colour) + (text.empty() ? "" : "  " + text) + "\n");
      added += size.added;
      removed += size.removed;
    }
    print(change_counts(changes) + "; " + counted(added, "line", "lines") + " added, " +
          std::to_string(removed) + " removed\n");
    return {};
  }

  bool patch_ = false;
  bool stat_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_diff() { return std::make_unique<Diff>(); }

}  // namespace viewsh
