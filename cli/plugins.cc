#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh plugins
class Plugins : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }

  int execute(const std::vector<std::string>&) override {
    Json list = Json::array();
    Table table({"NAME", "VERSION", "ABI", "PROVIDES", "DESCRIPTION"});
    for (const PluginInfo& plugin : find_plugins()) {
      bool usable = plugin.error.empty();
      table.add({printable(plugin.name), plugin.version, std::to_string(plugin.abi),
                 plugin.provides,
                 usable ? plugin.description : "(refused) " + printable(plugin.error)});
      list.push_back({{"name", plugin.name},
                      {"path", plugin.path},
                      {"version", plugin.version},
                      {"abi", plugin.abi},
                      {"provides", plugin.provides},
                      {"description", plugin.description},
                      {"error", plugin.error}});
    }
    print(json_ ? json_text(list) : table.text());
    return 0;
  }

 private:
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_plugins() { return std::make_unique<Plugins>(); }

}  // namespace viewsh
