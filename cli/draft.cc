#include "cli/draft.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/path.h"
#include "cli/text.h"

namespace viewsh {
namespace {

UserError fault(const Place& place, const std::string& why) { return {place.text + ": " + why}; }

/// Is what the view has at `path` before mount `index` simply what the host has there?
bool is_host_path(const ViewSpec& spec, size_t index, const std::string& path) {
  if (spec.root != "/") return false;
  return std::none_of(spec.mounts.begin(), spec.mounts.begin() + static_cast<ptrdiff_t>(index),
                      [&path](const MountSpec& earlier) {
                        return is_at_or_below(path, earlier.at) && !is_copy_on_write(earlier.type);
                      });
}

UserError check_sources(const ViewDraft& draft, size_t index) {
  const MountSpec& mount = draft.spec.mounts[index];
  if (!source_is_path(mount.type)) return {};
  for (size_t i = 0; i < mount.sources.size(); ++i) {
    const std::string& source = mount.sources[i];
    const Place& place = draft.places[index].sources[i];
    struct stat found {};
    if (!is_host_path(draft.spec, index, source)) continue;
    if (stat(source.c_str(), &found) != 0) {
      return fault(place, "source: " + printable(source) + ": " + Errno::last().message());
    }
    if (mount.type == "merge" && !S_ISDIR(found.st_mode)) {
      return fault(place, "source: " + printable(source) + ": must be a directory to be merged");
    }
  }
  return {};
}

/// Does a mount between `hide` and `index` put something else over the hidden path?
bool covered_again(const ViewSpec& spec, size_t hide, size_t index) {
  for (size_t k = hide + 1; k < index; ++k) {
    const MountSpec& between = spec.mounts[k];
    if (between.type == "hide" || is_copy_on_write(between.type)) continue;
    if (is_at_or_below(spec.mounts[hide].at, between.at)) return true;
  }
  return false;
}

UserError check_hidden(const ViewDraft& draft, size_t index) {
  const auto& mounts = draft.spec.mounts;
  const MountSpec& mount = mounts[index];
  for (size_t other = 0; other < mounts.size(); ++other) {
    const MountSpec& hide = mounts[other];
    bool inside = mount.at != hide.at && is_at_or_below(mount.at, hide.at);
    if (hide.type != "hide" || !inside) continue;
    if (other < index && covered_again(draft.spec, other, index)) continue;
    std::string when = other < index ? "hidden" : "hidden later";
    return fault(draft.places[index].at,
                 "at: " + printable(mount.at) + " is inside " + printable(hide.at) + ", which is " +
                     when + " (" + hide.place.text +
                     "); put a tmpfs there instead of the hide to mount below it");
  }
  return {};
}

/// The layer that one of them writes to and the other uses, too; empty: there is none.
std::string shared_layer(const MountSpec& a, const MountSpec& b) {
  for (const auto& [writer, other] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    if (writer->layer.empty()) continue;
    const auto& below = other->layers_below;
    bool read = std::find(below.begin(), below.end(), writer->layer) != below.end();
    if (read || other->layer == writer->layer) return writer->layer;
  }
  return "";
}

/// What one mount writes to can't be used by another. Below others a layer is only read.
UserError check_layers(const ViewDraft& draft, size_t index) {
  const auto& mounts = draft.spec.mounts;
  for (size_t other = 0; other < index; ++other) {
    std::string shared = shared_layer(mounts[other], mounts[index]);
    if (shared.empty()) continue;
    return fault(mounts[index].place, "layer: " + shared + " is already the layer of " +
                                          printable(mounts[other].at) + " (" +
                                          mounts[other].place.text + ")");
  }
  return {};
}

}  // namespace

void ViewDraft::add_mount(MountSpec mount, MountPlaces where) {
  where.sources.resize(mount.sources.size(), mount.place);
  spec.mounts.push_back(std::move(mount));
  places.push_back(std::move(where));
}

void ViewDraft::set_env(const std::string& name, const std::string& value) {
  std::erase(spec.env.unset, name);
  spec.env.set[name] = value;
}

void ViewDraft::unset_env(const std::string& name) {
  spec.env.set.erase(name);
  std::erase(spec.env.unset, name);
  spec.env.unset.push_back(name);
}

bool source_is_path(std::string_view type) {
  return type.substr(0, 4) != "fuse" && type != "symlink";
}

UserError check_draft(const ViewDraft& draft) {
  for (size_t i = 0; i < draft.spec.mounts.size(); ++i) {
    if (UserError error = check_sources(draft, i)) return error;
    if (UserError error = check_hidden(draft, i)) return error;
    if (UserError error = check_layers(draft, i)) return error;
  }
  return {};
}

}  // namespace viewsh
