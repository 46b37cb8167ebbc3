#include <CLI/CLI.hpp>

#include "cli/change_text.h"
#include "cli/command.h"
#include "cli/layer_text.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh commit
class Commit : public Command {
 public:
  void declare(CLI::App* app) override {
    app->add_flag("--dry-run", options_.dry_run, "only say what would be done");
    app->add_flag("--force", options_.force, "also over what changed underneath meanwhile");
    app->add_flag("--json", json_, "as JSON");
  }
  Rest rest() const override { return {"LAYER [PATH...]", 1, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    UserError error;
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    LayerInfo info;
    if ((error = find_layer(store, rest[0], &info))) return fail_with(error);
    return commit_layer(store, rest[0], absolute_paths({rest.begin() + 1, rest.end()}), options_,
                        json_);
  }

 private:
  CommitOptions options_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_commit() { return std::make_unique<Commit>(); }

}  // namespace viewsh
