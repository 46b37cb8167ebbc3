#pragma once

#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace viewsh {

/// A subcommand. One file of this folder each.
class Command {
 public:
  /// What may stand after the options.
  struct Rest {
    const char* form = "";  ///< for the help: "LAYER [PATH...]"
    size_t least = 0;
    size_t most = 0;
    bool command = false;  ///< a COMMAND, which takes all that follows
  };
  static constexpr size_t kMany = static_cast<size_t>(-1);

  virtual ~Command() = default;
  virtual void declare(CLI::App* app) = 0;
  virtual Rest rest() const { return {}; }
  /// Returns the status to exit with.
  virtual int execute(const std::vector<std::string>& rest) = 0;
};

std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_try();
std::unique_ptr<Command> make_check();
std::unique_ptr<Command> make_show();
std::unique_ptr<Command> make_resolve();
std::unique_ptr<Command> make_profiles();
std::unique_ptr<Command> make_plugins();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_layers();
std::unique_ptr<Command> make_diff();
std::unique_ptr<Command> make_commit();
std::unique_ptr<Command> make_discard();
std::unique_ptr<Command> make_export();
std::unique_ptr<Command> make_import();
std::unique_ptr<Command> make_snapshot();
std::unique_ptr<Command> make_restore();
std::unique_ptr<Command> make_mount_host();

}  // namespace viewsh
