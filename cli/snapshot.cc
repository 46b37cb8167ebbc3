#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/snapshot_text.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh snapshot
class Snapshot : public Command {
 public:
  void declare(CLI::App* app) override {
    app->add_flag("--delete", delete_, "forget the snapshot NAME");
    app->add_flag("--json", json_, "as JSON");
  }
  Rest rest() const override { return {"LAYER [NAME]", 1, 2}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    if (delete_ && rest.size() < 2) return fail_with({"snapshot: --delete needs LAYER NAME"});
    if (rest.size() < 2) return list(store, rest[0]);
    return delete_ ? forget(store, rest[0], rest[1]) : take(store, rest[0], rest[1]);
  }

 private:
  int list(LayerStore* store, const std::string& layer) const {
    auto answer = store->snapshots(layer);
    if (!answer.ok()) return fail_with(layer_error(store, layer, answer.error));
    print(json_ ? json_text(snapshots_json(answer.value)) : snapshots_table(answer.value));
    return 0;
  }

  int take(LayerStore* store, const std::string& layer, const std::string& name) const {
    auto answer = store->take_snapshot(layer, name);
    if (!answer.ok()) return fail_with(layer_error(store, layer, answer.error));
    if (json_) {
      print(json_text({{"layer", layer}, {"snapshot", snapshots_json({answer.value})[0]}}));
      return 0;
    }
    print(printable(layer) + ": snapshot " + printable(name) + ": " +
          counted(answer.value.changes, "change", "changes") + ", " +
          human_size(answer.value.bytes) + "\n");
    return 0;
  }

  int forget(LayerStore* store, const std::string& layer, const std::string& name) const {
    auto answer = store->delete_snapshot(layer, name);
    if (!answer.ok()) return fail_with(layer_error(store, layer, answer.error));
    if (json_) {
      print(json_text({{"layer", layer}, {"deleted", name}}));
      return 0;
    }
    print(printable(layer) + ": snapshot " + printable(name) + ": deleted\n");
    return 0;
  }

  bool delete_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_snapshot() { return std::make_unique<Snapshot>(); }

}  // namespace viewsh
