#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/layer_text.h"
#include "cli/snapshot_text.h"
#include "cli/text.h"
#include "viewsh/layer.h"

namespace viewsh {
namespace {

Json layer_json(const LayerInfo& layer) {
  return {{"name", layer.name},       {"at", layer.at},
          {"lower", layer.lower},     {"over", layer.over},
          {"path", layer.path},       {"bytes", layer.bytes},
          {"changes", layer.changes}, {"last_used", layer.last_used},
          {"in_use", layer.in_use},   {"unfinished_commit", layer.unfinished}};
}

/// Why nothing is known of what a layer is for; empty: it is known.
std::string damage_of(LayerStore* store, const LayerInfo& layer) {
  return layer.at.empty() ? store->diff(layer.name, {}).error : std::string();
}

std::string user_of(const LayerInfo& layer, const std::string& damage) {
  if (!layer.in_use.empty()) return printable(layer.in_use);
  if (!damage.empty()) return "(can't be used: " + printable(damage) + ")";
  return layer.unfinished ? "(commit was cut short)" : "-";
}

/// The mount point, and the layers between it and the real files.
std::string place_of(const LayerInfo& layer) {
  std::string over;
  for (const std::string& name : layer.over)
    over += (over.empty() ? " over " : ", ") + printable(name);
  return printable(layer.at) + over;
}

/// viewsh layers
class Layers : public Command {
 public:
  void declare(CLI::App* app) override {
    auto* history = app->add_flag("--history", history_, "the snapshots of each layer");
    auto* verify =
        app->add_flag("--verify", verify_, "check the layers; status 1: something is wrong");
    auto* repair = app->add_flag("--repair", repair_, "mend what can be mended, and tell it");
    app->add_flag("--json", json_, "as JSON");
    history->excludes(verify)->excludes(repair);
  }
  Rest rest() const override { return {"[LAYER...]", 0, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    auto answer = store->layers();
    if (!answer.ok()) return fail_with({answer.error});
    std::vector<LayerInfo> layers;
    for (const std::string& name : rest) {
      LayerInfo info;
      if ((error = find_layer(store, name, &info))) return fail_with(error);
      layers.push_back(info);
    }
    if (rest.empty()) layers = answer.value;
    if (verify_ || repair_) return verify(store, layers);
    return history_ ? history(store, layers) : list(store, layers);
  }

 private:
  int list(LayerStore* store, const std::vector<LayerInfo>& layers) const {
    Json list = Json::array();
    Table table({"NAME", "AT", "CHANGES", "SIZE", "LAST USED", "IN USE BY"});
    for (const LayerInfo& layer : layers) {
      const std::string damage = damage_of(store, layer);
      list.push_back(layer_json(layer));
      if (!damage.empty()) list.back()["error"] = damage;
      table.add({printable(layer.name), damage.empty() ? place_of(layer) : "?",
                 damage.empty() ? std::to_string(layer.changes) : "?", human_size(layer.bytes),
                 local_time(layer.last_used), user_of(layer, damage)});
    }
    print(json_ ? json_text(list) : table.text());
    return 0;
  }

  int history(LayerStore* store, const std::vector<LayerInfo>& layers) const {
    Json list = Json::array();
    for (const LayerInfo& layer : layers) {
      auto answer = store->snapshots(layer.name);
      if (!answer.ok()) return fail_with({answer.error});
      list.push_back(layer_json(layer));
      list.back()["snapshots"] = snapshots_json(answer.value);
      if (!json_) print(printable(layer.name) + ":\n" + snapshots_table(answer.value));
    }
    if (json_) print(json_text(list));
    return 0;
  }

  int verify(LayerStore* store, const std::vector<LayerInfo>& layers) const {
    Json list = Json::array();
    int status = 0;
    for (const LayerInfo& layer : layers) {
      auto answer = store->verify(layer.name, repair_);
      if (!answer.ok()) {
        // The others are looked at all the same.
        status = fail_with({answer.error});
        continue;
      }
      const VerifyReport& report = answer.value;
      list.push_back(
          {{"name", layer.name}, {"problems", report.problems}, {"repaired", report.repaired}});
      const int found = json_ ? !report.problems.empty() : tell_verify(layer.name, report);
      if (status == 0) status = found;
    }
    if (json_) print(json_text(list));
    return status;
  }

  bool history_ = false;
  bool verify_ = false;
  bool repair_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_layers() { return std::make_unique<Layers>(); }

}  // namespace viewsh
