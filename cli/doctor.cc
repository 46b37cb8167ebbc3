#include <unistd.h>

#include <CLI/CLI.hpp>

#include "cli/app.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// viewsh doctor
class Doctor : public Command {
 public:
  void declare(CLI::App* app) override { app->add_flag("--json", json_, "as JSON"); }

  int execute(const std::vector<std::string>&) override {
    std::vector<DoctorLine> lines = examine_system();
    bool healthy = true;
    for (const DoctorLine& line : lines) healthy = healthy && (line.ok || !line.required);
    if (json_) {
      tell_json(lines, healthy);
    } else {
      tell(lines, healthy);
    }
    return healthy ? 0 : kFailure;
  }

 private:
  static void tell_json(const std::vector<DoctorLine>& lines, bool healthy) {
    Json list = Json::array();
    for (const DoctorLine& line : lines) {
      list.push_back({{"what", line.what},
                      {"ok", line.ok},
                      {"required", line.required},
                      {"finding", line.finding},
                      {"advice", line.advice}});
    }
    print(json_text({{"ok", healthy}, {"lines", list}}));
  }

  static void tell(const std::vector<DoctorLine>& lines, bool healthy) {
    bool colour = colour_wanted(STDOUT_FILENO);
    size_t width = 0;
    for (const DoctorLine& line : lines) width = std::max(width, line.what.size());
    for (const DoctorLine& line : lines) {
      std::string mark = coloured("ok     ", Colour::kGreen, colour);
      if (!line.ok) mark = coloured("without", Colour::kYellow, colour);
      if (!line.ok && line.required) mark = coloured("MISSING", Colour::kRed, colour);
      print(mark + "  " + line.what + std::string(width - line.what.size() + 2, ' ') +
            line.finding + "\n");
      if (!line.advice.empty()) {
        print(std::string(9, ' ') + std::string(width + 2, ' ') + "-> " + line.advice + "\n");
      }
    }
    print(healthy ? "viewsh works here.\n" : "viewsh does not work here: see MISSING above.\n");
  }

  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor() { return std::make_unique<Doctor>(); }

}  // namespace viewsh
