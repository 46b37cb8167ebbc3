#include "cli/app.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/text.h"

namespace viewsh {
namespace {

struct Row {
  const char* name;
  const char* summary;
  std::unique_ptr<Command> (*make)();
};

constexpr std::array<Row, 17> kCommands = {{
    {"run", "run COMMAND (default: $SHELL) in a view", make_run},
    {"try", "run on a copy-on-write root, then say what changed and ask", make_try},
    {"check", "validate profiles", make_check},
    {"show", "the effective view, after extends and defaults", make_show},
    {"resolve", "where a path of the view comes from", make_resolve},
    {"profiles", "the shipped and the user's profiles", make_profiles},
    {"plugins", "the plugins found and what each provides", make_plugins},
    {"doctor", "what this kernel and system offer, and what to do", make_doctor},
    {"layers", "the layers: name, size, changes, last used", make_layers},
    {"diff", "what a layer changes", make_diff},
    {"commit", "apply a layer to the real files", make_commit},
    {"discard", "throw a layer, or some paths of it, away", make_discard},
    {"export", "write a layer as an OCI layer archive, or for overlayfs", make_export},
    {"import", "make a layer of such an archive or directory", make_import},
    {"snapshot", "remember a layer's state, or list what is remembered", make_snapshot},
    {"restore", "take a layer back to a snapshot", make_restore},
    {"mount-host", "show a view to processes outside it, as a FUSE mount", make_mount_host},
}};
/// Commands that belong to later versions of the program.
constexpr std::array<const char*, 5> kLaterCommands = {"ps", "exec", "stop", "load", "unload"};

/// Help as the manual page has it: the usage names what follows the options.
class HelpText : public CLI::Formatter {
 public:
  explicit HelpText(const char* rest) : rest_(rest) {
    constexpr size_t kOptionColumn = 32;
    column_width(kOptionColumn);
  }
  std::string make_usage(const CLI::App*, std::string name) const override {
    return "Usage: " + name + " [OPTION...]" + (*rest_ == '\0' ? "" : " ") + rest_ + "\n";
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string& value = option->get_option_text();
    return value.empty() || value[0] == '[' ? value : " " + value;
  }

 private:
  const char* rest_;
};

std::string program_help() {
  std::string text =
      "Gives a process tree its own view of the file system, without root.\n"
      "Usage: viewsh COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n";
  for (const Row& row : kCommands) {
    constexpr size_t kColumn = 12;
    std::string name = row.name;
    text += "  " + name + std::string(kColumn - name.size(), ' ') + row.summary + "\n";
  }
  text +=
      "\n`viewsh COMMAND --help` tells the options of a command, `viewsh --version` the version.\n"
      "Start with `viewsh doctor`, then `viewsh try COMMAND`.\n";
  return text;
}

OptionKind kind_of(const CLI::App& app, const std::string& name) {
  const CLI::Option* option = app.get_option_no_throw(name);
  if (option == nullptr) return OptionKind::kUnknown;
  if (option->get_items_expected_max() == 0) return OptionKind::kFlag;
  return option->get_option_text()[0] == '[' ? OptionKind::kOptionalValue : OptionKind::kValue;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

int execute(Command* command, const std::string& name, const Arguments& arguments) {
  Command::Rest form = command->rest();
  if (arguments.rest.size() < form.least) {
    print_error(name + ": needs " + form.form + " (viewsh " + name + " --help)");
    return kFailure;
  }
  if (arguments.rest.size() > form.most) {
    print_error(name + ": " + printable(arguments.rest[form.most]) + ": one argument too many");
    return kFailure;
  }
  return command->execute(arguments.rest);
}

int run_command(const Row& row, const std::vector<std::string>& words) {
  std::unique_ptr<Command> command = row.make();
  std::string summary = row.summary;
  summary[0] = static_cast<char>(toupper(summary[0]));
  CLI::App app(summary + ".", std::string("viewsh ") + row.name);
  app.formatter(std::make_shared<HelpText>(command->rest().form));
  app.set_help_flag("-h,--help", "print this help");
  command->declare(&app);
  Arguments arguments;
  auto kind = [&app](const std::string& name) { return kind_of(app, name); };
  UserError error =
      split_arguments(words, command->rest().command, kind, option_names(app), &arguments);
  if (error) return fail_with({std::string(row.name) + ": " + error.text});
  std::vector<std::string> reversed(arguments.options.rbegin(), arguments.options.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    print(app.help());
    return 0;
  } catch (const CLI::ParseError& problem) {
    print_error(std::string(row.name) + ": " + problem.what());
    return kFailure;
  }
  return execute(command.get(), row.name, arguments);
}

int dispatch(const std::vector<std::string>& words) {
  if (words.empty()) {
    print_error("no command given; viewsh --help lists them");
    return kFailure;
  }
  const std::string& name = words[0];
  if (name == "--help" || name == "-h" || name == "help") {
    print(program_help());
    return 0;
  }
  if (name == "--version") {
    print("viewsh " VIEWSH_VERSION "\n");
    return 0;
  }
  std::vector<std::string> known;
  for (const Row& row : kCommands) {
    if (name == row.name) return run_command(row, {words.begin() + 1, words.end()});
    known.emplace_back(row.name);
  }
  if (std::find(kLaterCommands.begin(), kLaterCommands.end(), name) != kLaterCommands.end()) {
    print_error(name + ": not available in this version");
    return kFailure;
  }
  bool option = name[0] == '-';
  print_error(printable(name) + (option ? ": unknown option" : ": unknown command") +
              did_you_mean(name, known) + " (viewsh --help)");
  return kFailure;
}

}  // namespace

int run_program(const std::vector<std::string>& words) {
  int status = dispatch(words);
  bool written = fflush(stdout) == 0 && ferror(stdout) == 0;
  if (!written && status == 0) {
    print_error("standard output: " + Errno::last().message());
    return kFailure;
  }
  return status;
}

}  // namespace viewsh
