#pragma once

#include <string>
#include <vector>

#include "cli/draft.h"

namespace CLI {
class App;
}

namespace viewsh {

/// The options that make a view: those of run, try, show and resolve. They are only noted while the
/// command line is parsed, and applied afterwards: profiles first, then the others as typed.
class ViewOptions {
 public:
  void declare(CLI::App* app);
  /// Builds the view onto `draft` and checks it.
  UserError build(ViewDraft* draft) const;
  /// The --layer names, in the order typed.
  std::vector<std::string> layers() const;
  /// The profiles, where they are all that the view is made of; else empty.
  std::vector<std::string> only_profiles() const;
  /// Takes the --layer options away: `try` has its own use for the name.
  void drop_layers();

 private:
  struct Typed {
    std::string option;
    std::string value;
  };
  std::vector<Typed> typed_;
};

/// What --trace, --stats and --kill-on-exit of run and try ask for.
void declare_run_options(CLI::App* app, RunOptions* options);

/// Adds an option that may be given more than once or not at all; the last one is taken.
void add_text(CLI::App* app, const std::string& names, const std::string& value,
              const std::string& help, std::string* out);

}  // namespace viewsh
