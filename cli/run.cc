#include <CLI/CLI.hpp>
#include <cstdlib>
#include <optional>

#include "cli/app.h"
#include "cli/command.h"
#include "cli/learn.h"
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
    app->add_option_function<std::string>(
           "--learn", [this](const std::string& file) { learn_ = file; },
           "write the smallest profile in which the same run works; FILE must be new or empty")
        ->option_text("FILE")
        ->group("The run");
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
    return learn_ ? learn(draft.spec) : run_view(draft.spec, options_);
  }

 private:
  int learn(const ViewSpec& spec) {
    Learning learning;
    if (UserError error = learning.open(*learn_)) return fail_with(error);
    options_.record = learning.record();
    int status = run_view(spec, options_);
    fflush(stdout);
    UserError error = learning.finish(options_.command, spec, view_.only_profiles());
    if (!error) return status;
    print_error(error.text);
    return status != 0 ? status : kFailure;
  }

  ViewOptions view_;
  RunOptions options_;
  std::optional<std::string> learn_;
};

}  // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<Run>(); }

}  // namespace viewsh
