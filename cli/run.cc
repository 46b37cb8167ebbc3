#include <CLI/CLI.hpp>
#include <cstdlib>

#include "cli/command.h"
#include "cli/text.h"
#include "cli/view_options.h"

namespace viewsh {
namespace {

/// viewsh run
class Run : public Command {
 public:
  void declare(CLI::App* app) override {
    view_.declare(app);
    declare_run_options(app, &options_);
  }
  Rest rest() const override { return {"[--] [COMMAND [ARG...]]", 0, kMany, true}; }
  int execute(const std::vector<std::string>& rest) override {
    ViewDraft draft;
    if (UserError error = view_.build(&draft)) return fail_with(error);
    options_.command = rest;
    if (rest.empty()) {
      const char* shell = getenv("SHELL");
      options_.command = {shell != nullptr && *shell != '\0' ? shell : "/bin/sh"};
    }
    return run_view(draft.spec, options_);
  }

 private:
  ViewOptions view_;
  RunOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<Run>(); }

}  // namespace viewsh
