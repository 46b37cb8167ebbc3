#include "cli/layer_text.h"

#include <unistd.h>

#include "cli/change_text.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/text.h"

namespace viewsh {

UserError find_layer(LayerStore* store, const std::string& name, LayerInfo* info) {
  auto layers = store->layers();
  if (!layers.ok()) return {layers.error};
  std::vector<std::string> names;
  for (const LayerInfo& layer : layers.value) {
    names.push_back(layer.name);
    if (layer.name != name) continue;
    *info = layer;
    return {};
  }
  std::string guess = did_you_mean(name, names);
  return {printable(name) + ": no such layer" +
          (guess.empty() ? " (viewsh layers lists them)" : guess)};
}

UserError known_layer(LayerStore* store, const std::string& name) {
  auto names = store->names();
  if (!names.ok()) return {names.error};
  for (const std::string& known : names.value) {
    if (known == name) return {};
  }
  std::string guess = did_you_mean(name, names.value);
  return {printable(name) + ": no such layer" +
          (guess.empty() ? " (viewsh layers lists them)" : guess)};
}

int tell_commit(const std::string& layer, const CommitReport& report, bool dry_run, bool json) {
  std::vector<Change> changes = report.applied;
  sort_changes(&changes);
  if (json) {
    Json list = Json::array();
    for (const Change& change : changes) list.push_back(change_json(change));
    print(json_text({{"layer", layer},
                     {"dry_run", dry_run},
                     {"applied", list},
                     {"conflicts", report.conflicts}}));
  }
  for (const std::string& conflict : report.conflicts) {
    print_error("conflict: " + printable(conflict));
  }
  if (!report.conflicts.empty() && report.applied.empty()) {
    print_error(layer + ": " + counted(report.conflicts.size(), "conflict", "conflicts") +
                "; nothing was written (--force applies it all the same)");
    return 1;
  }
  if (json) return 0;
  bool colour = colour_wanted(STDOUT_FILENO);
  if (dry_run) {
    for (const Change& change : changes) print(change_line(change, colour) + "\n");
  }
  print(layer + (dry_run ? ": would commit: " : ": committed: ") + change_counts(changes) + "\n");
  return 0;
}

int commit_layer(LayerStore* store, const std::string& layer, const std::vector<std::string>& paths,
                 const CommitOptions& options, bool json) {
  Progress progress("commit");
  CommitOptions told = options;
  told.progress = [&](const char* phase, uint64_t done, uint64_t total) {
    progress.update({phase, done, total});
  };
  auto answer = store->commit(layer, paths, told);
  progress.clear();
  if (!answer.ok()) return fail_with({answer.error});
  CommitReport report = answer.value;
  bool refused = !report.conflicts.empty() && !options.force;
  if (refused) report.applied.clear();
  return tell_commit(layer, report, options.dry_run, json);
}

}  // namespace viewsh
