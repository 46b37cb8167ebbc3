#include "cli/mount_option.h"

#include <unistd.h>

#include <algorithm>

#include "base/path.h"
#include "cli/draft.h"
#include "cli/expand.h"
#include "cli/parse_text.h"
#include "cli/text.h"

namespace viewsh {
namespace {

using Parts = std::vector<std::string>;

/// The form's parts; none of the first `required` may be empty.
UserError split_form(const std::string& text, size_t required, size_t most, const std::string& form,
                     Parts* parts) {
  *parts = split_escaped(text, ':');
  bool good = parts->size() >= required && parts->size() <= most;
  for (size_t i = 0; good && i < required; ++i) good = !(*parts)[i].empty();
  return good ? UserError{} : UserError{"must be " + form};
}

std::string host_path(const std::string& text) {
  return absolute_host_path(expand_tilde(text), working_directory());
}

std::string view_path(const std::string& text) {
  return absolute_view_path(expand_tilde(text), working_directory());
}

UserError set_options(const std::string& text, MountSpec* mount) {
  Parts items;
  for (const std::string& item : split_escaped(text, ',')) {
    if (!is_except(item) || !is_copy_on_write(mount->type)) {
      items.push_back(item);
      continue;
    }
    std::string wrong = take_except(item, mount->place, mount->at, &mount->except);
    if (!wrong.empty()) return {wrong};
  }
  std::string wrong = parse_options(items, &mount->options);
  if (wrong.empty()) wrong = check_mount_options(mount->type, mount->options);
  return {wrong};
}

/// Takes a last part "ro" or "rw" off.
void take_access(Parts* parts, size_t least, MountSpec* mount) {
  const std::string& last = parts->back();
  if (parts->size() <= least || (last != "ro" && last != "rw")) return;
  mount->options[last] = "";
  parts->pop_back();
}

UserError parse_copies(const std::string& text, const char* type, MountSpec* mount) {
  Parts parts;
  if (UserError error = split_form(text, 1, 2, "PATH or PATH:except=SUBPATH,...", &parts)) {
    return error;
  }
  mount->type = type;
  mount->at = view_path(parts[0]);
  return parts.size() > 1 ? set_options(parts[1], mount) : UserError{};
}

}  // namespace

bool is_except(std::string_view item) { return item.substr(0, 7) == "except="; }

std::string take_except(const std::string& item, const Place& place, std::string_view at,
                        std::vector<ExceptSpec>* except) {
  constexpr std::string_view kWord = "except=";
  const std::string text = expand_tilde(item.substr(kWord.size()));
  if (text.empty()) return "except needs a path";
  std::string path = absolute_view_path(text, std::string(at));
  if (path == at || !is_at_or_below(path, at)) {
    return "except: " + printable(path) + " is not below " + printable(std::string(at));
  }
  except->push_back({std::move(path), place});
  return "";
}

std::string add_layer(const std::string& name, MountSpec* mount) {
  const auto& below = mount->layers_below;
  if (mount->layer == name || std::find(below.begin(), below.end(), name) != below.end()) {
    return "the layer " + name + " is there twice";
  }
  if (!mount->layer.empty()) mount->layers_below.push_back(mount->layer);
  mount->layer = name;
  return "";
}

UserError parse_bind(const std::string& text, MountSpec* mount) {
  Parts parts;
  if (UserError error = split_form(text, 2, 3, "SRC:AT or SRC:AT:ro", &parts)) return error;
  mount->type = "bind";
  mount->sources = {host_path(parts[0])};
  mount->at = view_path(parts[1]);
  return parts.size() > 2 ? set_options(parts[2], mount) : UserError{};
}

UserError parse_hide(const std::string& text, MountSpec* mount) {
  if (text.empty()) return {"must be a path"};
  mount->type = "hide";
  mount->at = view_path(text);
  return {};
}

UserError parse_cow(const std::string& text, MountSpec* mount) {
  return parse_copies(text, "cow", mount);
}

UserError parse_mincow(const std::string& text, MountSpec* mount) {
  return parse_copies(text, "mincow", mount);
}

UserError parse_tmpfs(const std::string& text, MountSpec* mount) {
  Parts parts;
  if (UserError error = split_form(text, 1, 2, "AT or AT:size=64M", &parts)) return error;
  mount->type = "tmpfs";
  mount->at = view_path(parts[0]);
  return parts.size() > 1 ? set_options(parts[1], mount) : UserError{};
}

UserError parse_merge(const std::string& text, MountSpec* mount) {
  constexpr size_t kFewest = 3;
  Parts parts = split_escaped(text, ':');
  mount->type = "merge";
  take_access(&parts, kFewest, mount);
  bool good = parts.size() >= kFewest;
  for (const std::string& part : parts) good = good && !part.empty();
  if (!good) return {"must be A:B:AT, with more sources A:B:C:AT"};
  mount->at = view_path(parts.back());
  parts.pop_back();
  for (const std::string& source : parts) mount->sources.push_back(host_path(source));
  return {};
}

UserError parse_mount(const std::string& text, MountSpec* mount) {
  Parts parts;
  const std::string form =
      "TYPE:SRC:AT or TYPE:SRC:AT:OPTION,... (a ':' inside of a part is written '\\:')";
  parts = split_escaped(text, ':');
  bool good = parts.size() >= 3 && parts.size() <= 4 && !parts[0].empty() && !parts[2].empty();
  if (!good) return {"must be " + form};
  mount->type = parts[0];
  mount->at = view_path(parts[2]);
  if (!parts[1].empty()) {
    mount->sources = {source_is_path(mount->type) ? host_path(parts[1]) : parts[1]};
  }
  return parts.size() > 3 ? set_options(parts[3], mount) : UserError{};
}

UserError parse_disk(const std::string& text, DeviceRequest* device) {
  Parts parts;
  if (UserError error =
          split_form(text, 2, 3, "SRC:/dev/NAME or SRC:/dev/NAME:size=1G,ro", &parts)) {
    return error;
  }
  device->type = "disk";
  device->source = host_path(parts[0]);
  device->path = view_path(parts[1]);
  if (parts.size() > 2) {
    std::string wrong = parse_options(split_escaped(parts[2], ','), &device->options);
    if (!wrong.empty()) return {wrong};
  }
  if (auto size = device->options.extract("size")) {
    auto bytes = parse_size(size.mapped());
    if (!bytes) return {"size must be a size such as 1G, not '" + size.mapped() + "'"};
    device->size = *bytes;
  }
  bool create = device->options.count("create") != 0;
  if (!create && access(device->source.c_str(), F_OK) != 0) {
    return {printable(device->source) + ": " + Errno::last().message()};
  }
  return {};
}

}  // namespace viewsh
