#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/snapshot_text.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh restore
class Restore : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }
  Rest rest() const override { return {"LAYER NAME", 2, 2}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    auto answer = store->restore(rest[0], rest[1]);
    if (!answer.ok()) return fail_with(layer_error(store, rest[0], answer.error));
    for (const std::string& note : answer.value.notes) print_error(printable(note));
    if (json_) {
      print(json_text({{"layer", rest[0]},
                       {"restored", rest[1]},
                       {"before", answer.value.kept_as},
                       {"notes", answer.value.notes}}));
      return 0;
    }
    print(printable(rest[0]) + ": restored " + printable(rest[1]) + "; what it was is kept as " +
          answer.value.kept_as + "\n");
    return 0;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_restore() { return std::make_unique<Restore>(); }

}  // namespace viewsh
