#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/text.h"
#include "cli/view_options.h"
#include "cli/view_text.h"

namespace viewsh {
namespace {

/// viewsh show
class Show : public Command {
 public:
  void declare(CLI::App* app) override {
    view_.declare(app);
    auto* json = app->add_flag("--json", json_, "as JSON");
    app->add_flag("--yaml", yaml_, "as a profile")->excludes(json);
  }

  int execute(const std::vector<std::string>&) override {
    ViewDraft draft;
    if (UserError error = view_.build(&draft)) return fail_with(error);
    if (json_) {
      print(json_text(view_json(draft.spec)));
    } else {
      print(yaml_ ? view_yaml(draft.spec) : view_table(draft.spec));
    }
    fflush(stdout);
    UserError error = check_view(draft.spec);
    return error ? fail_with(error) : 0;
  }

 private:
  ViewOptions view_;
  bool json_ = false;
  bool yaml_ = false;
};

}  // namespace

std::unique_ptr<Command> make_show() { return std::make_unique<Show>(); }

}  // namespace viewsh
