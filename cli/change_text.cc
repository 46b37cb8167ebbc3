#include "cli/change_text.h"

#include <algorithm>
#include <array>

#include "cli/expand.h"
#include "cli/terminal.h"

namespace viewsh {
namespace {

std::string shown(const std::string& path, NodeType type) {
  return printable(path) + (type == NodeType::kDirectory && path != "/" ? "/" : "");
}

const char* kind_word(Change::Kind kind) {
  switch (kind) {
    case Change::Kind::kAdded:
      return "added";
    case Change::Kind::kChanged:
      return "changed";
    case Change::Kind::kDeleted:
      return "deleted";
    case Change::Kind::kRenamed:
      return "renamed";
    case Change::Kind::kTypeChanged:
      return "type-changed";
  }
  return "";
}

const char* type_word(NodeType type) {
  switch (type) {
    case NodeType::kFifo:
      return "fifo";
    case NodeType::kChar:
      return "character-device";
    case NodeType::kDirectory:
      return "directory";
    case NodeType::kBlock:
      return "block-device";
    case NodeType::kRegular:
      return "file";
    case NodeType::kSymlink:
      return "symlink";
    case NodeType::kSocket:
      return "socket";
    case NodeType::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace

char change_letter(const Change& change) {
  switch (change.kind) {
    case Change::Kind::kAdded:
      return 'A';
    case Change::Kind::kChanged:
      return 'M';
    case Change::Kind::kDeleted:
      return 'D';
    case Change::Kind::kRenamed:
      return 'R';
    case Change::Kind::kTypeChanged:
      return 'T';
  }
  return '?';
}

std::string change_line(const Change& change, bool colour) {
  Colour paint = Colour::kYellow;
  if (change.kind == Change::Kind::kAdded) paint = Colour::kGreen;
  if (change.kind == Change::Kind::kDeleted) paint = Colour::kRed;
  std::string line(1, change_letter(change));
  line += " ";
  if (change.kind == Change::Kind::kRenamed) {
    line += shown(change.old_path, change.type) + " -> ";
  }
  line += shown(change.path, change.type);
  bool only_metadata = change.kind == Change::Kind::kChanged && change.metadata && !change.content;
  if (only_metadata) line += " (mode, owner, times or attributes)";
  return coloured(line, paint, colour);
}

std::string change_counts(const std::vector<Change>& changes) {
  if (changes.empty()) return "no changes";
  constexpr std::array<Change::Kind, 5> kKinds = {Change::Kind::kAdded, Change::Kind::kChanged,
                                                  Change::Kind::kDeleted, Change::Kind::kRenamed,
                                                  Change::Kind::kTypeChanged};
  std::vector<std::string> words;
  for (Change::Kind kind : kKinds) {
    auto number = std::count_if(changes.begin(), changes.end(),
                                [kind](const Change& change) { return change.kind == kind; });
    if (number > 0) words.push_back(std::to_string(number) + " " + kind_word(kind));
  }
  return join(words, ", ");
}

void sort_changes(std::vector<Change>* changes) {
  std::stable_sort(changes->begin(), changes->end(),
                   [](const Change& a, const Change& b) { return a.path < b.path; });
}

Json change_json(const Change& change) {
  Json json = {{"change", kind_word(change.kind)},
               {"path", change.path},
               {"type", type_word(change.type)},
               {"content", change.content},
               {"metadata", change.metadata}};
  if (!change.old_path.empty()) json["old_path"] = change.old_path;
  if (!change.lower.empty()) json["lower"] = change.lower;
  if (!change.upper.empty()) json["upper"] = change.upper;
  return json;
}

std::vector<std::string> absolute_paths(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  out.reserve(paths.size());
  for (const std::string& path : paths) {
    // An empty one, as of a variable that isn't set, isn't the working directory: it is refused.
    out.push_back(path.empty() ? path : absolute_view_path(path, working_directory()));
  }
  return out;
}

}  // namespace viewsh
