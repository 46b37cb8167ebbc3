#include <CLI/CLI.hpp>
#include <climits>
#include <cstdlib>

#include "cli/change_text.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/layer_text.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/transfer_text.h"

namespace viewsh {
namespace {

/// viewsh import
class Import : public Command {
 public:
  void declare(CLI::App* app) override {
    app->add_option("--at", at_, "the mount point that the layer is for (/)")->option_text("PATH");
    app->add_option("--root", root_, "the root of the views that it is for (/)")
        ->option_text("DIR");
    app->add_option("--overlayfs", dir_, "an upper directory of overlayfs, not a tar")
        ->option_text("DIR");
    app->add_flag("--json", json_, "as JSON");
  }
  Rest rest() const override { return {"FILE LAYER", 1, 2}; }

  int execute(const std::vector<std::string>& rest) override {
    TransferOptions options;
    UserError error = options_for(rest, &options);
    if (error) return fail_with(error);
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    const std::string file = options.overlayfs ? dir_ : rest[0];
    LayerStore::Answer<TransferReport> answer;
    {
      Progress progress("import " + printable(rest.back()));
      const Interrupt interrupt;
      options.progress = [&](const TransferProgress& p) {
        progress.update(p);
        return Interrupt::signal() == 0;
      };
      answer = store->import_from(file, rest.back(), options);
    }
    return tell_transfer(printable(rest.back()) + ": imported", answer, json_);
  }

 private:
  UserError options_for(const std::vector<std::string>& rest, TransferOptions* out) const {
    out->overlayfs = !dir_.empty();
    if (out->overlayfs && rest.size() > 1) {
      return {"import: FILE and --overlayfs exclude each other"};
    }
    if (!out->overlayfs && rest.size() < 2) {
      return {"import: needs FILE LAYER (viewsh import --help)"};
    }
    if (!at_.empty()) out->at = absolute_paths({at_}).front();
    if (root_.empty()) return {};
    char path[PATH_MAX];
    if (realpath(root_.c_str(), path) == nullptr) {
      return {"--root: " + printable(root_) + ": " + Errno::last().message()};
    }
    out->root = path;
    return {};
  }

  std::string at_;
  std::string root_;
  std::string dir_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_import() { return std::make_unique<Import>(); }

}  // namespace viewsh
