#include "cli/learn_text.h"

#include <algorithm>

#include "cli/text.h"
#include "cli/view_text.h"

namespace viewsh {
namespace {

using Kind = LearnedMount::Kind;

constexpr size_t kNamedPrograms = 4;

struct Word {
  Access access;
  const char* text;
};
constexpr Word kWords[] = {{Access::kExecuted, "executed"},   {Access::kRead, "read"},
                           {Access::kListed, "listed"},       {Access::kEntered, "entered"},
                           {Access::kWritten, "written"},     {Access::kCreated, "created"},
                           {Access::kRemoved, "removed"},     {Access::kChanged, "changed"},
                           {Access::kConnected, "connected"}, {Access::kLookedAt, "looked at"}};

/// "sed, grep: executed, read (12)"
std::string use_text(const AccessRecord& record, const PathUse& use) {
  std::vector<std::string> programs;
  size_t more = (use.programs >> (AccessRecord::kMaxPrograms - 1)) & 1U;
  for (size_t i = 0; i < record.programs.size(); ++i) {
    if (((use.programs >> i) & 1U) == 0) continue;
    if (programs.size() == kNamedPrograms) {
      ++more;
    } else {
      programs.push_back(printable(record.programs[i]));
    }
  }
  if (more > 0) programs.emplace_back("...");
  std::vector<std::string> words;
  for (const Word& word : kWords) {
    if (use.did(word.access)) words.emplace_back(word.text);
  }
  std::string out = join(programs, ", ");
  if (!words.empty()) out += ": " + join(words, ", ");
  return use.count > 0 ? out + " (" + std::to_string(use.count) + ")" : out;
}

/// A path or a link's text as a scalar of a flow map. "~/x" and "$PWD/x" need no quotes.
std::string scalar(const std::string& text) {
  constexpr std::string_view kPlain = "/._+-=~$";
  bool plain = !text.empty() && text != "~" &&
               std::string_view("/$~").find(text[0]) != std::string_view::npos;
  for (char c : text) {
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    plain = plain && (word || kPlain.find(c) != std::string_view::npos);
  }
  return plain ? text : yaml_scalar(text);
}

std::string dollars(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

std::string mount_line(const LearnedMount& mount, const Places& places) {
  std::string at = scalar(places.text(mount.at));
  switch (mount.kind) {
    case Kind::kEmpty:
      return "{type: tmpfs, at: " + at + ", options: [mode=" + mount.mode + "]}";
    case Kind::kLink:
      return "{type: symlink, at: " + at + ", source: " + scalar(dollars(mount.target)) + "}";
    case Kind::kReadOnly:
      return "{type: bind, at: " + at + ", source: " + at + ", options: [ro]}";
    case Kind::kWritable:
      break;
  }
  return "{type: bind, at: " + at + ", source: " + at + "}";
}

std::string comment_of(const LearnedMount& mount, const AccessRecord& record) {
  std::string out = use_text(record, mount.use);
  if (mount.files > 0)
    out = std::to_string(mount.files) +
          std::string(mount.files == 1 ? " file of it: " : " files of it: ") + out;
  if (!mount.remark.empty()) out += (out.empty() ? "" : "; ") + mount.remark;
  return out;
}

/// JSON and with it YAML can't say what isn't UTF-8.
bool can_be_said(const std::string& text) {
  try {
    return Json(text).dump() != "";
  } catch (const Json::exception&) {
    return false;
  }
}

std::string mounts_text(const LearnedPlan& plan, const AccessRecord& record, const Places& places) {
  std::string out =
      "  # The root is empty: only what is named below is there. Sources are paths of the view\n"
      "  # that it covers.\n"
      "  - {type: tmpfs, at: /, options: [mode=755]}\n";
  for (const LearnedMount& mount : plan.mounts) {
    if (mount.at == "/") continue;
    if (!can_be_said(mount.at + mount.target)) {
      out += "  # left out, since the name is not UTF-8: " + printable(mount.at) + "\n";
      continue;
    }
    std::string comment = comment_of(mount, record);
    out += "  - " + mount_line(mount, places) + (comment.empty() ? "" : "  # " + comment) + "\n";
  }
  return out;
}

std::string cage_list(const char* key, const std::vector<std::string>& items) {
  if (items.empty()) return "";
  std::string out = std::string("#   ") + key + ":\n";
  for (const std::string& item : items) out += "#     - " + item + "\n";
  return out;
}

/// The lists for a cage, as comments: this version enforces none, and refuses the key.
std::string cage_text(const LearnedPlan& plan, const AccessRecord& record, const Places& places) {
  std::vector<std::string> write;
  std::vector<std::string> read;
  std::vector<std::string> sockets;
  std::vector<std::string> executed;
  for (const LearnedMount& mount : plan.mounts) {
    if (!can_be_said(mount.at) || mount.at == "/" || mount.kind == Kind::kLink) continue;
    std::string at = scalar(places.text(mount.at));
    bool socket = mount.use.type == NodeType::kSocket || mount.use.did(Access::kConnected);
    bool writes = mount.use.did(Access::kWritten) || mount.use.did(Access::kCreated) ||
                  mount.use.did(Access::kRemoved) || mount.use.did(Access::kChanged);
    (socket ? sockets : writes ? write : read).push_back(at);
    if (mount.use.did(Access::kExecuted)) executed.push_back(places.text(mount.at));
  }
  std::vector<std::string> ports;
  std::string peers;
  for (const auto& [endpoint, use] : record.endpoints) {
    std::string port = std::to_string(endpoint.port);
    bool tcp = endpoint.protocol == "tcp" && !endpoint.bound;
    if (tcp && std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(port);
    peers += "#   " + endpoint.protocol + " " + endpoint.address + " port " + port +
             (endpoint.bound ? ", bound" : "") + "  # " + use_text(record, use) + "\n";
  }
  std::string out =
      "\n# What a cage would have to allow. Nothing of this is in force: this version has no "
      "cage.\n"
      "# cage:\n";
  out += cage_list("write", write) + cage_list("read", read) + "#   exec: true\n";
  out += cage_list("unix_sockets", sockets) + cage_list("tcp_connect", ports);
  if (!executed.empty()) out += "# Programs came from:\n";
  for (const std::string& path : executed) out += "#   " + printable(path) + "\n";
  if (!peers.empty()) out += "# Network:\n" + peers;
  return out;
}

std::string head_text(const LearnedHead& head) {
  std::string line;
  for (const std::string& word : head.command) line += (line.empty() ? "" : " ") + printable(word);
  if (!can_be_said(line)) line = "a command that is not UTF-8";
  std::string said = "What `" + line + "` used on " + head.date;
  std::string out =
      "viewsh: 1\nname: " + yaml_scalar(head.name) + "\ndescription: " + yaml_scalar(said) + "\n";
  if (!head.extends.empty()) {
    out += "extends:\n";
    for (const std::string& name : head.extends) out += "  - " + yaml_scalar(dollars(name)) + "\n";
  }
  return out;
}

/// The view of the run, without its name; its mounts come first, so they are the last key.
std::string view_text(const ViewSpec& view) {
  ViewSpec rest = view;
  rest.name.clear();
  rest.description.clear();
  std::vector<MountSpec> mounts = std::move(rest.mounts);
  rest.mounts.clear();
  std::string text = view_yaml(rest);
  text.erase(0, text.find('\n') + 1);  // "viewsh: 1"
  ViewSpec last;
  last.mounts = std::move(mounts);
  std::string list = view_yaml(last);
  size_t at = list.find("mounts:\n");
  std::string items = at == std::string::npos ? "" : list.substr(at + 8);
  return text + "\nmounts:\n" + (items.empty() ? "" : "  # The view that it ran in.\n" + items);
}

}  // namespace

std::string learned_yaml(const LearnedHead& head, const LearnedPlan& plan,
                         const AccessRecord& record, const Places& places) {
  std::string out = head_text(head);
  out +=
      "\n# Written by viewsh run --learn: the smallest view in which the same run works. Take away "
      "what\n"
      "# the program has no business with, then try again. What another run needs, and this one "
      "didn't\n"
      "# come to, is not there.\n";
  for (const std::string& note : plan.notes) out += "# NOTE: " + printable(note) + ".\n";
  out += head.view == nullptr ? "\nmounts:\n" : view_text(*head.view);
  out += mounts_text(plan, record, places);
  if (!plan.missing.empty())
    out += "\n# Looked for and not there, so not shown if it comes to be:\n";
  for (const std::string& path : plan.missing) out += "#   " + printable(places.text(path)) + "\n";
  return out + cage_text(plan, record, places);
}

}  // namespace viewsh
