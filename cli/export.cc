#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/layer_text.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "cli/transfer_text.h"

namespace viewsh {
namespace {

/// viewsh export
class Export : public Command {
 public:
  void declare(CLI::App* app) override {
    app->add_option("--compress", compress_, "how, else the name of FILE says it")
        ->option_text("zstd|gzip|none");
    app->add_option("--overlayfs", dir_, "a directory that overlayfs takes as an upper, not a tar")
        ->option_text("DIR");
    app->add_flag("--json", json_, "as JSON");
  }
  Rest rest() const override { return {"LAYER FILE", 1, 2}; }

  int execute(const std::vector<std::string>& rest) override {
    TransferOptions options;
    UserError error = options_for(rest, &options);
    if (error) return fail_with(error);
    LayerStore* store = layer_store(&error);
    if (store == nullptr) return fail_with(error);
    LayerInfo info;
    if ((error = find_layer(store, rest[0], &info))) return fail_with(error);
    const std::string file = options.overlayfs ? dir_ : rest[1];
    LayerStore::Answer<TransferReport> answer;
    {
      Progress progress("export " + printable(rest[0]));
      const Interrupt interrupt;
      options.progress = [&](const TransferProgress& p) {
        progress.update(p);
        return Interrupt::signal() == 0;
      };
      answer = store->export_to(rest[0], file, options);
    }
    const bool piped = file == "-" && !options.overlayfs;
    return tell_transfer(piped ? "" : printable(rest[0]) + ": exported to " + printable(file),
                         answer, json_ && !piped);
  }

 private:
  UserError options_for(const std::vector<std::string>& rest, TransferOptions* out) const {
    out->overlayfs = !dir_.empty();
    if (out->overlayfs) {
      if (rest.size() > 1) return {"export: FILE and --overlayfs exclude each other"};
      if (!compress_.empty()) return {"export: --compress is for a FILE"};
      return {};
    }
    if (rest.size() < 2) return {"export: needs LAYER FILE (viewsh export --help)"};
    out->compression = compression_by_name(rest[1]);
    if (rest[1] == "-" && isatty(STDOUT_FILENO) == 1) {
      return {"export: -: an archive isn't written to a terminal"};
    }
    return compress_.empty() ? UserError() : parse_compression(compress_, &out->compression);
  }

  std::string compress_;
  std::string dir_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_export() { return std::make_unique<Export>(); }

}  // namespace viewsh
