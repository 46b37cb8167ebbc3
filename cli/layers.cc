#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/text.h"
#include "viewsh/layer.h"

namespace viewsh {
namespace {

Json layer_json(const LayerInfo& layer) {
  return {{"name", layer.name},
          {"at", layer.at},
          {"lower", layer.lower},
          {"path", layer.path},
          {"bytes", layer.bytes},
          {"changes", layer.changes},
          {"last_used", layer.last_used},
          {"in_use", layer.in_use},
          {"unfinished_commit", layer.unfinished}};
}

std::string user_of(const LayerInfo& layer) {
  if (!layer.in_use.empty()) return printable(layer.in_use);
  return layer.unfinished ? "(commit was cut short)" : "-";
}

/// viewsh layers
class Layers : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }

  int execute(const std::vector<std::string>&) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    auto answer = store->layers();
    if (!answer.ok()) return fail_with({answer.error});
    Json list = Json::array();
    Table table({"NAME", "AT", "CHANGES", "SIZE", "LAST USED", "IN USE BY"});
    for (const LayerInfo& layer : answer.value) {
      list.push_back(layer_json(layer));
      table.add({printable(layer.name), printable(layer.at), std::to_string(layer.changes),
                 human_size(layer.bytes), local_time(layer.last_used), user_of(layer)});
    }
    print(json_ ? json_text(list) : table.text());
    return 0;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_layers() { return std::make_unique<Layers>(); }

}  // namespace viewsh
