#include "cli/view_text.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "cli/parse_text.h"

namespace viewsh {
namespace {

/// The layers of a mount, the lowest first.
std::vector<std::string> layers_of(const MountSpec& mount) {
  std::vector<std::string> layers = mount.layers_below;
  if (!mount.layer.empty()) layers.push_back(mount.layer);
  return layers;
}

std::vector<std::string> option_words(const std::map<std::string, std::string>& options) {
  std::vector<std::string> words;
  for (const auto& [name, value] : options) {
    words.push_back(value.empty() ? name : name + "=" + value);
  }
  return words;
}

std::vector<std::string> option_words(const MountSpec& mount) {
  std::vector<std::string> words = option_words(mount.options);
  for (const ExceptSpec& except : mount.except) words.push_back("except=" + except.path);
  return words;
}

Json mount_json(const MountSpec& mount) {
  Json json = {{"type", mount.type}, {"at", mount.at}};
  if (mount.type == "merge" || mount.sources.size() > 1) {
    json["sources"] = mount.sources;
  } else if (!mount.sources.empty()) {
    json["source"] = mount.sources[0];
  }
  if (!mount.layers_below.empty()) {
    json["layers"] = layers_of(mount);
  } else if (!mount.layer.empty()) {
    json["layer"] = mount.layer;
  }
  std::vector<std::string> options = option_words(mount);
  if (!options.empty()) json["options"] = options;
  return json;
}

Json device_json(const DeviceRequest& device) {
  Json json = {{"path", device.path}, {"type", device.type}};
  if (!device.source.empty()) json["source"] = device.source;
  if (device.size != 0) json["size"] = device.size;
  if (device.seed) json["seed"] = *device.seed;
  if (!device.options.empty()) json["options"] = option_words(device.options);
  return json;
}

Json binfmt_json(const ExecFormatSpec& format) {
  Json json = {{"name", format.name}};
  if (!format.extension.empty()) json["extension"] = format.extension;
  if (!format.magic.empty()) json["magic"] = magic_text(format.magic);
  if (!format.mask.empty()) json["mask"] = magic_text(format.mask);
  if (format.offset != 0) json["offset"] = format.offset;
  json["interpreter"] = format.interpreter;
  if (!format.flags.empty()) json["flags"] = format.flags;
  return json;
}

Json plugin_json(const PluginSpec& plugin) {
  Json json = Json::object();
  if (!plugin.name.empty()) json["name"] = plugin.name;
  if (!plugin.path.empty()) json["path"] = plugin.path;
  if (!plugin.options.empty()) json["options"] = plugin.options;
  return json;
}

Json identity_json(const IdentityRequest& identity) {
  Json json = Json::object();
  if (identity.uid) json["uid"] = *identity.uid;
  if (identity.gid) json["gid"] = *identity.gid;
  if (identity.groups) json["groups"] = *identity.groups;
  return json;
}

/// "uid 0, gid 0"; what isn't said is the caller's.
std::string identity_text(const IdentityRequest& identity) {
  std::vector<std::string> parts;
  if (identity.uid) parts.push_back("uid " + std::to_string(*identity.uid));
  if (identity.gid) parts.push_back("gid " + std::to_string(*identity.gid));
  std::vector<std::string> groups;
  for (const gid_t group : identity.groups.value_or(std::vector<gid_t>()))
    groups.push_back(std::to_string(group));
  if (identity.groups) parts.push_back("groups " + (groups.empty() ? "(none)" : join(groups, " ")));
  return join(parts, ", ");
}

Json env_json(const EnvSpec& env) {
  Json json = Json::object();
  if (!env.set.empty()) json["set"] = env.set;
  if (!env.unset.empty()) json["unset"] = env.unset;
  if (env.clear) json["clear"] = true;
  return json;
}

template <typename Items, typename Make>
void add_list(Json* json, const char* key, const Items& items, Make make) {
  if (items.empty()) return;
  Json list = Json::array();
  for (const auto& item : items) list.push_back(make(item));
  (*json)[key] = list;
}

/// Keys whose value a profile takes as written, without expanding variables.
bool is_literal_key(const std::string& key) {
  constexpr std::array<const char*, 4> kKeys = {"name", "description", "magic", "mask"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

std::string escape_dollars(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '$' ? "$$" : std::string(1, c);
  return out;
}

std::string yaml_value(const Json& value, const std::string& key, size_t indent);

std::string yaml_map(const Json& map, size_t indent, bool first_inline) {
  std::string out;
  for (const auto& [key, value] : map.items()) {
    if (!first_inline || !out.empty()) out += std::string(indent, ' ');
    out += yaml_scalar(key) + ":" + yaml_value(value, key, indent);
  }
  return out;
}

/// What follows "key:", with the newline.
std::string yaml_value(const Json& value, const std::string& key, size_t indent) {
  if (value.is_string()) {
    auto text = value.get<std::string>();
    return " " + yaml_scalar(is_literal_key(key) ? text : escape_dollars(text)) + "\n";
  }
  if (value.is_object()) return "\n" + yaml_map(value, indent + 2, false);
  if (!value.is_array()) return " " + value.dump() + "\n";
  std::string out = "\n";
  for (const Json& item : value) {
    out += std::string(indent + 2, ' ') + "-";
    out += item.is_object() ? " " + yaml_map(item, indent + 4, true)
                            : yaml_value(item, key, indent + 2);
  }
  return out;
}

void add_line(std::string* out, const char* key, const std::string& value) {
  constexpr size_t kColumn = 13;
  std::string name = key;
  if (!value.empty()) *out += name + std::string(kColumn - name.size(), ' ') + value + "\n";
}

void add_table(std::string* out, const char* title, const Table& table) {
  *out += std::string("\n") + title + "\n" + table.text();
}

std::string source_text(const MountSpec& mount) {
  std::vector<std::string> shown;
  for (const std::string& source : mount.sources) shown.push_back(printable(source));
  std::vector<std::string> layers = layers_of(mount);
  bool copies = is_copy_on_write(mount.type);
  if (!layers.empty())
    shown.push_back((layers.size() > 1 ? "layers " : "layer ") + join(layers, ", "));
  if (copies && layers.empty()) shown.emplace_back("(ends with the view)");
  return join(shown, " : ");
}

}  // namespace

std::string yaml_scalar(const std::string& text) {
  constexpr std::string_view kSafe = "/._+=,-";
  bool safe = !text.empty() && (isalpha(static_cast<unsigned char>(text[0])) != 0 ||
                                text[0] == '/' || text[0] == '.');
  bool control = false;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    control = control || byte < 0x20 || byte == 0x7f;
    safe = safe && (isalnum(byte) != 0 || kSafe.find(c) != std::string_view::npos);
  }
  for (const char* word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    std::string lower = text;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(tolower(c)); });
    safe = safe && lower != word;
  }
  if (safe) return text;
  if (control) return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? "''" : std::string(1, c);
  return quoted + "'";
}

Json view_json(const ViewSpec& spec) {
  Json json = {{"viewsh", 1}};
  if (!spec.name.empty()) json["name"] = spec.name;
  if (!spec.description.empty()) json["description"] = spec.description;
  Json env = env_json(spec.env);
  if (!env.empty()) json["env"] = env;
  if (!spec.cwd.empty()) json["cwd"] = spec.cwd;
  json["root"] = spec.root;
  add_list(&json, "mounts", spec.mounts, mount_json);
  add_list(&json, "devices", spec.devices,
           [](const DeviceSpec& device) { return device_json(device.request); });
  add_list(&json, "binfmt", spec.binfmt,
           [](const BinfmtSpec& rule) { return binfmt_json(rule.format); });
  add_list(&json, "plugins", spec.plugins, plugin_json);
  if (spec.identity) json["identity"] = identity_json(spec.identity->request);
  if (spec.allow_mount) json["allow"] = Json::array({"mount"});
  return json;
}

std::string view_yaml(const ViewSpec& spec) { return yaml_map(view_json(spec), 0, false); }

std::string view_table(const ViewSpec& spec) {
  std::string out;
  add_line(&out, "name", printable(spec.name));
  add_line(&out, "description", printable(spec.description));
  add_line(&out, "root", printable(spec.root));
  add_line(&out, "cwd", spec.cwd.empty() ? "(the caller's)" : printable(spec.cwd));
  add_line(&out, "environment", spec.env.clear ? "(empty at first)" : "(the caller's)");
  for (const auto& [name, value] : spec.env.set) {
    add_line(&out, "  set", printable(name + "=" + value));
  }
  for (const std::string& name : spec.env.unset) add_line(&out, "  unset", printable(name));
  if (spec.identity) add_line(&out, "identity", identity_text(spec.identity->request));
  if (spec.may_mount_all()) add_line(&out, "allowed", "mount");
  Table mounts({"AT", "TYPE", "SOURCE", "OPTIONS", "FROM"});
  for (const MountSpec& mount : spec.mounts) {
    mounts.add({printable(mount.at), mount.type, source_text(mount), join(option_words(mount), ","),
                mount.place.text});
  }
  if (spec.mounts.empty()) add_line(&out, "mounts", "(none)");
  if (!spec.mounts.empty()) add_table(&out, "mounts, a later one covers an earlier one", mounts);
  Table devices({"PATH", "TYPE", "SOURCE", "SIZE", "OPTIONS", "FROM"});
  for (const DeviceSpec& item : spec.devices) {
    const DeviceRequest& device = item.request;
    devices.add({printable(device.path), device.type, printable(device.source),
                 device.size == 0 ? "" : human_size(device.size),
                 join(option_words(device.options), ","), item.place.text});
  }
  if (!spec.devices.empty()) add_table(&out, "devices", devices);
  Table rules({"NAME", "MATCHES", "INTERPRETER", "FLAGS", "FROM"});
  for (const BinfmtSpec& item : spec.binfmt) {
    const ExecFormatSpec& format = item.format;
    rules.add({printable(format.name),
               format.magic.empty() ? "*." + format.extension : magic_text(format.magic),
               printable(format.interpreter), format.flags, item.place.text});
  }
  if (!spec.binfmt.empty()) add_table(&out, "executable formats", rules);
  Table plugins({"PLUGIN", "FROM"});
  for (const PluginSpec& plugin : spec.plugins) {
    plugins.add({printable(plugin.name.empty() ? plugin.path : plugin.name), plugin.place.text});
  }
  if (!spec.plugins.empty()) add_table(&out, "plugins", plugins);
  return out;
}

}  // namespace viewsh
