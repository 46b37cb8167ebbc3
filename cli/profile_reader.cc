#include "cli/profile_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/path.h"
#include "cli/expand.h"
#include "cli/parse_text.h"
#include "cli/text.h"

namespace viewsh {
namespace {

constexpr std::string_view kSchema = "1";
/// Keys of the schema that belong to later versions of the program.
constexpr std::array<const char*, 5> kLaterKeys = {"host", "time", "random", "network", "cage"};

std::string profile_name(const std::string& file) {
  std::string name(base_name(file));
  size_t dot = name.rfind(".yaml");
  return dot != std::string::npos && dot > 0 && dot + 5 == name.size() ? name.substr(0, dot) : name;
}

}  // namespace

std::string kind_name(const ProfileNode& node) {
  switch (node.kind) {
    case ProfileNode::Kind::kNull:
      return "nothing";
    case ProfileNode::Kind::kScalar:
      return "'" + printable(node.text) + "'";
    case ProfileNode::Kind::kList:
      return "a list";
    case ProfileNode::Kind::kMap:
      return "a map";
  }
  return "";
}

ProfileReader::ProfileReader(std::string file, ProfileLoader* loader, ViewDraft* draft)
    : file_(std::move(file)),
      folder_(parent_path(absolute_view_path(file_, working_directory()))),
      loader_(loader),
      draft_(draft) {}

Place ProfileReader::place(const ProfileNode& node) const {
  return {file_ + ":" + std::to_string(node.line) + ":" + std::to_string(node.column)};
}

bool ProfileReader::fail(const ProfileNode& node, std::string_view key, const std::string& why) {
  if (!error_) error_.text = place(node).text + ": " + printable(key) + ": " + why;
  return false;
}

UserError ProfileReader::read(const ProfileNode& root) {
  if (!read_schema(root)) return error_;
  for (size_t i = 0; i < root.keys.size(); ++i) {
    if (root.keys[i].text == "extends" && !read_extends(root.items[i])) return error_;
  }
  ViewSpec& spec = draft_->spec;
  spec.name = profile_name(file_);
  spec.description.clear();
  auto each = [this](std::string_view key, std::string_view like,
                     bool (ProfileReader::*read_item)(const ProfileNode&)) {
    return Field{std::string(key), [=, this](const ProfileNode& list) {
                   return read_list(list, key, like, [=, this](const ProfileNode& item) {
                     return (this->*read_item)(item);
                   });
                 }};
  };
  std::vector<Field> fields = {
      {"viewsh", [](const ProfileNode&) { return true; }},
      {"extends", [](const ProfileNode&) { return true; }},
      {"name", [&](const ProfileNode& value) { return plain(value, "name", &spec.name); }},
      {"description",
       [&](const ProfileNode& value) { return plain(value, "description", &spec.description); }},
      {"env", [this](const ProfileNode& value) { return read_env(value); }},
      {"cwd", [&](const ProfileNode& value) { return view_path(value, "cwd", &spec.cwd); }},
      {"root", [this](const ProfileNode& value) { return read_root(value); }},
      each("mounts", "[{type: hide, at: ~/.ssh}]", &ProfileReader::read_mount),
      each("devices", "[{path: /dev/ram0, type: ram, size: 64M}]", &ProfileReader::read_device),
      each("binfmt", "[{name: tape, extension: tap, interpreter: /usr/bin/play-tape}]",
           &ProfileReader::read_binfmt),
      each("plugins", "[{name: umdev}]", &ProfileReader::read_plugin),
      {"identity", [this](const ProfileNode& value) { return read_identity(value); }},
      each("allow", "[mount]", &ProfileReader::read_allow)};
  read_map(root, "viewsh", fields);
  return error_;
}

bool ProfileReader::read_schema(const ProfileNode& root) {
  if (root.kind != ProfileNode::Kind::kMap || root.keys.front().text != "viewsh") {
    bool empty = root.kind != ProfileNode::Kind::kMap;
    const ProfileNode& first = empty ? root : root.keys.front();
    return fail(first, "viewsh", "a profile starts with the line 'viewsh: 1'");
  }
  const ProfileNode& version = root.items.front();
  if (version.kind != ProfileNode::Kind::kScalar || version.text != kSchema) {
    return fail(version, "viewsh",
                "must be 1, the schema that this version reads, not " + kind_name(version));
  }
  return true;
}

bool ProfileReader::read_extends(const ProfileNode& list) {
  return read_list(list, "extends", "[base]", [this](const ProfileNode& item) {
    std::string name;
    std::string file;
    if (!expanded(item, "extends", &name)) return false;
    if (UserError error = find_profile(name, folder_, &file)) {
      return fail(item, "extends", error.text);
    }
    if (loader_->is_open(file)) {
      return fail(item, "extends", name + " extends this profile; a circle has no end");
    }
    error_ = loader_->load_file(file);
    return !error_;
  });
}

bool ProfileReader::read_allow(const ProfileNode& value) {
  std::string what;
  if (!plain(value, "allow", &what)) return false;
  const std::string wrong = allow(what, &draft_->spec);
  return wrong.empty() || fail(value, "allow", wrong);
}

bool ProfileReader::read_root(const ProfileNode& value) {
  std::string path;
  if (!host_path(value, "root", &path)) return false;
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) {
    return fail(value, "root", printable(path) + ": " + Errno::last().message());
  }
  if (!S_ISDIR(found.st_mode)) {
    return fail(value, "root", printable(path) + ": must be a directory");
  }
  draft_->spec.root = path;
  draft_->spec.root_place = place(value);
  return true;
}

bool ProfileReader::read_env(const ProfileNode& map) {
  auto set = [this](const ProfileNode& value) {
    return read_texts(value, "set", [this](const ProfileNode& name, const std::string& text) {
      std::string wrong = check_env_name(name.text);
      if (!wrong.empty()) return fail(name, name.text, wrong);
      draft_->set_env(name.text, text);
      return true;
    });
  };
  auto unset = [this](const ProfileNode& value) {
    return read_list(value, "unset", "[SSH_AUTH_SOCK]", [this](const ProfileNode& item) {
      std::string name;
      if (!plain(item, "unset", &name)) return false;
      std::string wrong = check_env_name(name);
      if (!wrong.empty()) return fail(item, "unset", wrong);
      draft_->unset_env(name);
      return true;
    });
  };
  auto clear = [this](const ProfileNode& value) {
    return boolean(value, "clear", &draft_->spec.env.clear);
  };
  return read_map(map, "env", {{"set", set}, {"unset", unset}, {"clear", clear}});
}

bool ProfileReader::read_map(const ProfileNode& map, std::string_view key,
                             const std::vector<Field>& fields) {
  if (map.kind != ProfileNode::Kind::kMap) {
    std::vector<std::string> keys;
    for (const Field& field : fields) keys.push_back(field.key);
    return fail(map, key,
                "must be a map with keys of " + join(keys, ", ") + ", not " + kind_name(map));
  }
  for (size_t i = 0; i < map.keys.size(); ++i) {
    const ProfileNode& name = map.keys[i];
    auto same = [&name](const ProfileNode& other) { return other.text == name.text; };
    auto end = map.keys.begin() + static_cast<ptrdiff_t>(i);
    if (std::any_of(map.keys.begin(), end, same)) {
      return fail(name, name.text, "given twice");
    }
    if (!read_entry(name, map.items[i], fields)) return false;
  }
  return true;
}

bool ProfileReader::read_entry(const ProfileNode& key, const ProfileNode& value,
                               const std::vector<Field>& fields) {
  if (key.kind != ProfileNode::Kind::kScalar) return fail(key, "key", "must be a name");
  std::vector<std::string> known;
  for (const Field& field : fields) {
    known.push_back(field.key);
    if (field.key != key.text) continue;
    if (value.kind == ProfileNode::Kind::kNull) {
      return fail(key, key.text, "has no value (a single ~ is none either: write ~/ or \"~\")");
    }
    return field.read(value);
  }
  bool top = !fields.empty() && fields.front().key == "viewsh";
  if (top && std::find(kLaterKeys.begin(), kLaterKeys.end(), key.text) != kLaterKeys.end()) {
    return fail(key, key.text, "not available in this version");
  }
  std::string guess = did_you_mean(key.text, known);
  return fail(key, key.text,
              "unknown key" + (guess.empty() ? "; known: " + join(known, ", ") : guess));
}

bool ProfileReader::read_list(const ProfileNode& list, std::string_view key, std::string_view like,
                              const Read& read_item) {
  if (list.kind != ProfileNode::Kind::kList) {
    return fail(list, key,
                "must be a list such as " + std::string(like) + ", not " + kind_name(list));
  }
  return std::all_of(list.items.begin(), list.items.end(), read_item);
}

bool ProfileReader::read_texts(
    const ProfileNode& map, std::string_view key,
    const std::function<bool(const ProfileNode& name, const std::string&)>& take) {
  if (map.kind != ProfileNode::Kind::kMap) {
    return fail(map, key, "must be a map such as {NAME: value}, not " + kind_name(map));
  }
  for (size_t i = 0; i < map.keys.size(); ++i) {
    std::string text;
    if (map.keys[i].kind != ProfileNode::Kind::kScalar) {
      return fail(map.keys[i], key, "needs names as keys");
    }
    if (!expanded(map.items[i], map.keys[i].text, &text) || !take(map.keys[i], text)) return false;
  }
  return true;
}

bool ProfileReader::plain(const ProfileNode& value, std::string_view key, std::string* out) {
  if (value.kind != ProfileNode::Kind::kScalar) {
    return fail(value, key, "must be a text, not " + kind_name(value));
  }
  *out = value.text;
  return true;
}

bool ProfileReader::expanded(const ProfileNode& value, std::string_view key, std::string* out) {
  std::string text;
  std::string result;
  if (!plain(value, key, &text)) return false;
  if (UserError error = expand_variables(text, &result)) return fail(value, key, error.text);
  *out = result;
  return true;
}

bool ProfileReader::host_path(const ProfileNode& value, std::string_view key, std::string* out) {
  std::string text;
  if (!expanded(value, key, &text)) return false;
  if (text.empty()) return fail(value, key, "must be a path, not an empty text");
  *out = absolute_host_path(expand_tilde(text), folder_);
  return true;
}

bool ProfileReader::view_path(const ProfileNode& value, std::string_view key, std::string* out) {
  std::string text;
  if (!expanded(value, key, &text)) return false;
  if (text.empty()) return fail(value, key, "must be a path, not an empty text");
  *out = absolute_view_path(expand_tilde(text), folder_);
  return true;
}

bool ProfileReader::boolean(const ProfileNode& value, std::string_view key, bool* out) {
  bool scalar = value.kind == ProfileNode::Kind::kScalar && !value.quoted;
  if (!scalar || (value.text != "true" && value.text != "false")) {
    return fail(value, key, "must be true or false, not " + kind_name(value));
  }
  *out = value.text == "true";
  return true;
}

bool ProfileReader::number(const ProfileNode& value, std::string_view key, uint64_t* out) {
  auto parsed = parse_number(value.text);
  if (value.kind != ProfileNode::Kind::kScalar || !parsed) {
    return fail(value, key, "must be a whole number, not " + kind_name(value));
  }
  *out = *parsed;
  return true;
}

bool ProfileReader::options(const ProfileNode& list, std::map<std::string, std::string>* out) {
  std::vector<std::string> items;
  auto take = [&](const ProfileNode& item) {
    std::string text;
    if (!expanded(item, "options", &text)) return false;
    items.push_back(text);
    return true;
  };
  if (!read_list(list, "options", "[ro, size=64M]", take)) return false;
  std::string wrong = parse_options(items, out);
  return wrong.empty() || fail(list, "options", wrong);
}

}  // namespace viewsh
