#include "mount_host.h"

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/draft.h"
#include "cli/expand.h"
#include "cli/profile.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh mount-host
class MountHost : public Command {
 public:
  void declare(CLI::App* app) override {
    app->add_flag("-f,--foreground", foreground_,
                  "serve until the end, instead of in the background");
  }
  Rest rest() const override { return {"PROFILE DIR", 2, 2}; }

  int execute(const std::vector<std::string>& rest) override {
    ViewDraft draft;
    UserError error = ProfileLoader(&draft).load(rest[0], working_directory());
    if (!error) error = check_draft(draft);
    if (error) return fail_with(error);
    return mount_host(draft.spec, {rest[0], rest[1], foreground_});
  }

 private:
  bool foreground_ = false;
};

}  // namespace

std::unique_ptr<Command> make_mount_host() { return std::make_unique<MountHost>(); }

}  // namespace viewsh
