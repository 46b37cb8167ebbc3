#include <CLI/CLI.hpp>

#include "cli/change_text.h"
#include "cli/command.h"
#include "cli/layer_text.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh discard
class Discard : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }
  Rest rest() const override { return {"LAYER [PATH...]", 1, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    if ((error = known_layer(store, rest[0]))) return fail_with(error);
    std::vector<std::string> paths = absolute_paths({rest.begin() + 1, rest.end()});
    auto answer = store->discard(rest[0], paths);
    if (!answer.ok()) return fail_with({answer.error});
    if (json_) {
      print(json_text({{"layer", rest[0]}, {"discarded", paths}}));
      return 0;
    }
    std::vector<std::string> shown;
    for (const std::string& path : paths) shown.push_back(printable(path));
    print(rest[0] + ": discarded" + (paths.empty() ? "" : " " + join(shown, ", ")) + "\n");
    return 0;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_discard() { return std::make_unique<Discard>(); }

}  // namespace viewsh
