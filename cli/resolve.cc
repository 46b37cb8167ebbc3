#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/expand.h"
#include "cli/text.h"
#include "cli/view_options.h"

namespace viewsh {
namespace {

Json path_json(const std::string& asked, const ResolvedPath& path) {
  return {{"asked", asked},         {"path", path.view_path},  {"exists", path.exists},
          {"mount", path.mount_at}, {"type", path.mount_type}, {"layer", path.layer},
          {"host", path.host},      {"error", path.error}};
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : printable(text); }

/// viewsh resolve
class Resolve : public Command {
 public:
  void declare(CLI::App* app) override {
    view_.declare(app);
    app->add_flag("--json", json_, "as JSON");
  }
  Rest rest() const override { return {"PATH...", 1, kMany}; }

  int execute(const std::vector<std::string>& rest) override {
    ViewDraft draft;
    if (UserError error = view_.build(&draft)) return fail_with(error);
    std::string cwd = draft.spec.cwd.empty() ? working_directory() : draft.spec.cwd;
    std::vector<std::string> paths;
    for (const std::string& path : rest) {
      // Not normalised: ".." after a symbolic link is the view's to resolve.
      bool absolute = !path.empty() && path[0] == '/';
      paths.push_back(absolute ? path : (cwd == "/" ? "" : cwd) + "/" + path);
    }
    std::vector<ResolvedPath> found;
    if (UserError error = resolve_in_view(draft.spec, paths, &found)) return fail_with(error);
    tell(rest, found);
    return 0;
  }

 private:
  void tell(const std::vector<std::string>& asked, const std::vector<ResolvedPath>& found) const {
    Json list = Json::array();
    Table table({"PATH", "MOUNT", "TYPE", "LAYER", "HOST"});
    for (size_t i = 0; i < found.size(); ++i) {
      const ResolvedPath& path = found[i];
      list.push_back(path_json(i < asked.size() ? asked[i] : path.view_path, path));
      std::string host = or_dash(path.host);
      if (!path.error.empty()) host += " (" + path.error + ")";
      if (path.error.empty() && !path.exists) host += " (not there)";
      table.add({printable(path.view_path), or_dash(path.mount_at), or_dash(path.mount_type),
                 or_dash(path.layer), host});
    }
    print(json_ ? json_text(list) : table.text());
  }

  ViewOptions view_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_resolve() { return std::make_unique<Resolve>(); }

}  // namespace viewsh
