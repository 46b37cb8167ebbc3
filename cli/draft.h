#pragma once

#include <string>
#include <vector>

#include "engine.h"

namespace viewsh {

/// Where the parts of a mount were written.
struct MountPlaces {
  Place at;
  std::vector<Place> sources;  ///< one for each of MountSpec::sources
};

/// A view in the making: profiles and options are applied to it one after the other, each over what
/// came before.
struct ViewDraft {
  ViewSpec spec;
  std::vector<MountPlaces> places;  ///< one for each of spec.mounts

  void add_mount(MountSpec mount, MountPlaces where);
  void set_env(const std::string& name, const std::string& value);
  void unset_env(const std::string& name);
};

/// Is the source of such a mount a path, and not "host:/dir" of a FUSE server or the text of a
/// link?
bool source_is_path(std::string_view type);

/// Looks for what can't work whatever the system is like: sources that are not there, a mount point
/// inside a hidden path, a layer with two mounts. The text starts with the place.
UserError check_draft(const ViewDraft& draft);

}  // namespace viewsh
