#include <CLI/CLI.hpp>

#include "cli/app.h"
#include "cli/command.h"
#include "cli/expand.h"
#include "cli/profile.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh check
class Check : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }
  Rest rest() const override { return {"PROFILE...", 1, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    Json list = Json::array();
    int status = 0;
    for (const std::string& name : rest) {
      UserError error = check_profile(name);
      if (error) status = kFailure;
      if (json_) {
        list.push_back({{"profile", name}, {"ok", !error}, {"error", error.text}});
      } else if (error) {
        print_error(error.text);
      } else {
        print(printable(name) + ": ok\n");
      }
    }
    if (json_) print(json_text(list));
    return status;
  }

 private:
  static UserError check_profile(const std::string& name) {
    ViewDraft draft;
    ProfileLoader loader(&draft);
    if (UserError error = loader.load(name, working_directory())) return error;
    if (UserError error = check_draft(draft)) return error;
    return check_view(draft.spec);
  }

  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_check() { return std::make_unique<Check>(); }

}  // namespace viewsh
