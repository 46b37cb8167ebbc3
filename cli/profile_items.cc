// The items of a profile's lists: mounts, devices, binfmt, plugins.
#include <sys/stat.h>
#include <unistd.h>

#include "cli/expand.h"
#include "cli/mount_option.h"
#include "cli/parse_text.h"
#include "cli/profile_reader.h"
#include "cli/text.h"

namespace viewsh {
namespace {

/// The value of a key of a map, or the map itself: where a complaint about it belongs.
const ProfileNode& value_of(const ProfileNode& map, std::string_view key) {
  for (size_t i = 0; i < map.keys.size(); ++i) {
    if (map.keys[i].text == key) return map.items[i];
  }
  return map;
}

/// Why these sources don't fit the type of a mount, or empty.
std::string check_source_count(std::string_view type, size_t sources) {
  if (type == "bind" && sources != 1) return "a bind needs one source: what is to be seen there";
  if (type == "symlink" && sources != 1) return "a symlink needs one source: where it leads to";
  if (type == "merge" && sources < 2) return "a merge needs two or more directories";
  bool none = type == "hide" || type == "tmpfs" || is_copy_on_write(type);
  if (none && sources > 0) return std::string(type) + " has no source";
  return "";
}

}  // namespace

bool ProfileReader::read_identity(const ProfileNode& map) {
  IdentitySpec identity = draft_->spec.identity.value_or(IdentitySpec());
  identity.place = place(map);
  auto id = [this](const ProfileNode& value, std::string_view key, uint32_t* out) {
    if (value.kind != ProfileNode::Kind::kScalar)
      return fail(value, key, "must be a number, not " + kind_name(value));
    const std::string wrong = parse_id(value.text, out);
    return wrong.empty() || fail(value, key, wrong);
  };
  auto groups = [&](const ProfileNode& list) {
    constexpr size_t kMost = 65536;  // NGROUPS_MAX
    if (list.items.size() > kMost) return fail(list, "groups", "are more than 65536");
    std::vector<gid_t>& out = identity.request.groups.emplace();
    return read_list(list, "groups", "[0, 27]", [&](const ProfileNode& item) {
      return id(item, "groups", &out.emplace_back());
    });
  };
  std::vector<Field> fields = {
      {"uid",
       [&](const ProfileNode& value) { return id(value, "uid", &identity.request.uid.emplace()); }},
      {"gid",
       [&](const ProfileNode& value) { return id(value, "gid", &identity.request.gid.emplace()); }},
      {"groups", groups}};
  if (!read_map(map, "identity", fields)) return false;
  draft_->spec.identity = std::move(identity);
  return true;
}

bool ProfileReader::read_mount(const ProfileNode& map) {
  MountSpec mount;
  MountPlaces places;
  mount.place = place(map);
  places.at = place(value_of(map, "at"));
  auto type_value = value_of(map, "type");
  bool paths = source_is_path(type_value.text);
  auto add_source = [&](const ProfileNode& item, std::string_view key) {
    std::string source;
    if (!(paths ? host_path(item, key, &source) : expanded(item, key, &source))) return false;
    mount.sources.push_back(source);
    places.sources.push_back(place(item));
    return true;
  };
  auto sources = [&](const ProfileNode& list) {
    return read_list(list, "sources", "[a, b]",
                     [&](const ProfileNode& item) { return add_source(item, "sources"); });
  };
  std::vector<Field> fields = {
      {"type", [&](const ProfileNode& value) { return plain(value, "type", &mount.type); }},
      {"at", [&](const ProfileNode& value) { return view_path(value, "at", &mount.at); }},
      {"source", [&](const ProfileNode& value) { return add_source(value, "source"); }},
      {"sources", sources},
      {"options", [](const ProfileNode&) { return true; }},  // below: they need to know the rest
      {"layer", [&](const ProfileNode& value) { return read_layer(value, "layer", &mount); }},
      {"layers", [&](const ProfileNode& list) {
         return read_list(list, "layers", "[base, work]", [&](const ProfileNode& item) {
           return read_layer(item, "layers", &mount);
         });
       }}};
  if (!read_map(map, "mounts", fields) || !read_mount_options(map, &mount)) return false;
  if (!check_mount(map, mount)) return false;
  draft_->add_mount(std::move(mount), std::move(places));
  return true;
}

bool ProfileReader::read_layer(const ProfileNode& value, std::string_view key, MountSpec* mount) {
  std::string name;
  if (!expanded(value, key, &name)) return false;
  std::string wrong = check_layer_name(name);
  if (wrong.empty()) wrong = add_layer(name, mount);
  return wrong.empty() || fail(value, key, wrong);
}

bool ProfileReader::read_mount_options(const ProfileNode& map, MountSpec* mount) {
  const ProfileNode& list = value_of(map, "options");
  if (&list == &map) return true;
  if (!is_copy_on_write(mount->type)) return options(list, &mount->options);
  ProfileNode others = list;
  others.items.clear();
  auto take = [&](const ProfileNode& item) {
    std::string text;
    if (!expanded(item, "options", &text)) return false;
    if (!is_except(text)) {
      others.items.push_back(item);
      return true;
    }
    if (mount->at.empty()) return true;  // complained of later
    std::string wrong = take_except(text, place(item), mount->at, &mount->except);
    return wrong.empty() || fail(item, "options", wrong);
  };
  if (!read_list(list, "options", "[except=home/user/Downloads]", take)) return false;
  return options(others, &mount->options);
}

bool ProfileReader::check_mount(const ProfileNode& map, const MountSpec& mount) {
  if (mount.type.empty())
    return fail(map, "type", "missing: bind, cow, mincow, merge, hide, tmpfs...");
  if (mount.at.empty()) return fail(map, "at", "missing: where in the view?");
  const ProfileNode& one = value_of(map, "source");
  const ProfileNode& many = value_of(map, "sources");
  if (&one != &map && &many != &map) {
    return fail(many, "sources", "give either source or sources");
  }
  std::string wrong = check_source_count(mount.type, mount.sources.size());
  bool list = &many != &map || mount.type == "merge";
  if (!wrong.empty()) return fail(list ? many : one, list ? "sources" : "source", wrong);
  wrong = check_mount_options(mount.type, mount.options);
  if (!wrong.empty()) return fail(value_of(map, "options"), "options", wrong);
  return check_layer(map, mount);
}

bool ProfileReader::check_layer(const ProfileNode& map, const MountSpec& mount) {
  const ProfileNode& layer = value_of(map, "layer");
  const ProfileNode& layers = value_of(map, "layers");
  bool one = &layer != &map;
  bool many = &layers != &map;
  if (!one && !many) return true;
  const ProfileNode& given = many ? layers : layer;
  const char* key = many ? "layers" : "layer";
  if (one && many) return fail(layers, key, "give either layer or layers");
  if (!is_copy_on_write(mount.type)) return fail(given, key, "only a cow mount has a layer");
  if (mount.layer.empty()) return fail(layers, key, "needs a name: [base, work]");
  return true;
}

bool ProfileReader::read_device(const ProfileNode& map) {
  DeviceSpec device;
  DeviceRequest& request = device.request;
  device.place = place(map);
  auto size = [&](const ProfileNode& value) {
    std::string text;
    if (!expanded(value, "size", &text)) return false;
    auto bytes = parse_size(text);
    if (!bytes) return fail(value, "size", "must be a size such as 64M, not " + kind_name(value));
    request.size = *bytes;
    return true;
  };
  auto seed = [&](const ProfileNode& value) {
    uint64_t parsed = 0;
    if (!number(value, "seed", &parsed)) return false;
    request.seed = parsed;
    return true;
  };
  std::vector<Field> fields = {
      {"path", [&](const ProfileNode& value) { return view_path(value, "path", &request.path); }},
      {"type", [&](const ProfileNode& value) { return plain(value, "type", &request.type); }},
      {"source",
       [&](const ProfileNode& value) { return host_path(value, "source", &request.source); }},
      {"size", size},
      {"seed", seed},
      {"options", [&](const ProfileNode& value) { return options(value, &request.options); }}};
  if (!read_map(map, "devices", fields) || !check_device(map, request)) return false;
  draft_->spec.devices.push_back(std::move(device));
  return true;
}

bool ProfileReader::check_device(const ProfileNode& map, const DeviceRequest& request) {
  if (request.path.empty()) return fail(map, "path", "missing: where in the view, as /dev/ram0?");
  if (request.type.empty()) return fail(map, "type", "missing: ram, null, zero, full, random...");
  bool create = request.options.count("create") != 0;
  if (request.source.empty() || create || access(request.source.c_str(), F_OK) == 0) return true;
  return fail(value_of(map, "source"), "source",
              printable(request.source) + ": " + Errno::last().message() +
                  " (with the option create it is made)");
}

bool ProfileReader::read_binfmt(const ProfileNode& map) {
  BinfmtSpec rule;
  ExecFormatSpec& format = rule.format;
  rule.place = place(map);
  auto bytes = [this](std::string_view key, std::string* out) {
    return Field{std::string(key), [=, this](const ProfileNode& value) {
                   std::string text;
                   if (!plain(value, key, &text)) return false;
                   auto parsed = parse_magic(text);
                   if (parsed) *out = *parsed;
                   return parsed || fail(value, key,
                                         R"(must be ASCII with \xHH for other bytes, in single )"
                                         R"(quotes: '\x7fELF')");
                 }};
  };
  auto text = [this](std::string_view key, std::string* out) {
    return Field{std::string(key),
                 [=, this](const ProfileNode& value) { return plain(value, key, out); }};
  };
  auto offset = [&](const ProfileNode& value) {
    uint64_t parsed = 0;
    if (!number(value, "offset", &parsed)) return false;
    format.offset = parsed;
    return true;
  };
  auto interpreter = [&](const ProfileNode& value) {
    return view_path(value, "interpreter", &format.interpreter);
  };
  if (!read_map(map, "binfmt",
                {text("name", &format.name),
                 text("extension", &format.extension),
                 bytes("magic", &format.magic),
                 bytes("mask", &format.mask),
                 {"offset", offset},
                 {"interpreter", interpreter},
                 text("flags", &format.flags)}) ||
      !check_binfmt(map, format)) {
    return false;
  }
  draft_->spec.binfmt.push_back(std::move(rule));
  return true;
}

bool ProfileReader::check_binfmt(const ProfileNode& map, const ExecFormatSpec& format) {
  constexpr size_t kHead = 256;  // bytes of a program that are looked at, as in the kernel
  if (format.name.empty() || format.name.find('/') != std::string::npos) {
    return fail(value_of(map, "name"), "name", "a rule needs a name without '/'");
  }
  if (format.interpreter.empty()) {
    return fail(map, "interpreter", "missing: the program that runs such files");
  }
  if (format.magic.empty() == format.extension.empty()) {
    return fail(map, "magic", "a rule needs either magic or extension");
  }
  if (format.extension.find_first_of("./") != std::string::npos) {
    return fail(value_of(map, "extension"), "extension", "must be without '.' and '/', as 'tap'");
  }
  if (!format.mask.empty() && format.mask.size() != format.magic.size()) {
    return fail(value_of(map, "mask"), "mask", "must be as long as magic");
  }
  if (format.offset > kHead || format.offset + format.magic.size() > kHead) {
    return fail(value_of(map, "offset"), "offset", "magic must lie in the first 256 bytes");
  }
  if (format.flags.find_first_not_of("POCF") != std::string::npos) {
    return fail(value_of(map, "flags"), "flags", "must be of the letters P, O, C, F");
  }
  return true;
}

bool ProfileReader::read_plugin(const ProfileNode& map) {
  PluginSpec plugin;
  plugin.place = place(map);
  auto settings = [&](const ProfileNode& value) {
    return read_texts(value, "options", [&](const ProfileNode& name, const std::string& text) {
      plugin.options[name.text] = text;
      return true;
    });
  };
  std::vector<Field> fields = {
      {"name", [&](const ProfileNode& value) { return plain(value, "name", &plugin.name); }},
      {"path", [&](const ProfileNode& value) { return host_path(value, "path", &plugin.path); }},
      {"options", settings}};
  if (!read_map(map, "plugins", fields)) return false;
  if (plugin.name.empty() == plugin.path.empty()) {
    return fail(map, "name", "a plugin needs either name or path");
  }
  if (!plugin.path.empty() && access(plugin.path.c_str(), R_OK) != 0) {
    return fail(value_of(map, "path"), "path",
                printable(plugin.path) + ": " + Errno::last().message());
  }
  draft_->spec.plugins.push_back(std::move(plugin));
  return true;
}

}  // namespace viewsh
