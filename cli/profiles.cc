#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/expand.h"
#include "cli/profile.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh profiles
class Profiles : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }

  int execute(const std::vector<std::string>&) override {
    Json list = Json::array();
    Table table({"NAME", "FROM", "DESCRIPTION"});
    for (const ListedProfile& profile : list_profiles()) {
      ViewDraft draft;
      ProfileLoader loader(&draft);
      UserError error = loader.load(profile.file, working_directory());
      std::string description = error ? "(refused) " + error.text : draft.spec.description;
      table.add({printable(profile.name), profile.origin, printable(description)});
      list.push_back({{"name", profile.name},
                      {"file", profile.file},
                      {"from", profile.origin},
                      {"description", draft.spec.description},
                      {"error", error.text}});
    }
    print(json_ ? json_text(list) : table.text());
    return 0;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_profiles() { return std::make_unique<Profiles>(); }

}  // namespace viewsh
