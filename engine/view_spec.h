#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "viewsh/device.h"
#include "viewsh/exec_format.h"
#include "viewsh/identity.h"

namespace viewsh {

/// Where a setting was written: "file:line:column" of a profile, or "--option VALUE".
struct Place {
  std::string text;
};

/// A place below a copy-on-write mount where the real files are used.
struct ExceptSpec {
  std::string path;  ///< absolute in the view, below the mount point
  Place place;
};

/// One item of `mounts`, paths expanded and absolute.
struct MountSpec {
  std::string type;  ///< bind cow mincow merge hide tmpfs ...
  std::string at;
  std::vector<std::string> sources;
  std::map<std::string, std::string> options;
  std::string layer;                      ///< cow, mincow: takes the changes
  std::vector<std::string> layers_below;  ///< those that are only read, the lowest first
  std::vector<ExceptSpec> except;         ///< cow, mincow: what is left real
  Place place;
  bool must_exist =
      false;  ///< hide: what was typed may be mistyped; a profile serves many machines
};

/// Options of a mount that say who mounts it when, and nothing to its file system. fstab(5)
inline bool is_mounting_option(std::string_view option) {
  return option == "user" || option == "users" || option == "noauto";
}
/// The view's processes may make and take it away. `user`, `users`
inline bool is_by_user(const MountSpec& spec) {
  return spec.options.count("user") + spec.options.count("users") > 0;
}
/// It isn't there when the view begins. `noauto`
inline bool is_for_later(const MountSpec& spec) { return spec.options.count("noauto") > 0; }

/// Is it one of the mounts that keep changes in a layer?
inline bool is_copy_on_write(std::string_view type) { return type == "cow" || type == "mincow"; }

struct DeviceSpec {
  DeviceRequest request;
  Place place;
};

struct BinfmtSpec {
  ExecFormatSpec format;
  Place place;
};

struct PluginSpec {
  std::string name;  ///< of an installed plugin, or
  std::string path;  ///< of a file
  std::map<std::string, std::string> options;
  Place place;
};

struct IdentitySpec {
  IdentityRequest request;
  Place place;  ///< of what was said last
};

struct EnvSpec {
  std::map<std::string, std::string> set;
  std::vector<std::string> unset;
  bool clear = false;
};

/// A view as it was asked for: what a profile and the options say after `extends`, expansion and
/// defaults. A plain value; the command line makes it, the engine reads it.
struct ViewSpec {
  std::string name;
  std::string description;
  EnvSpec env;
  std::string cwd;         ///< empty: the caller's
  std::string root = "/";  ///< host directory that is the view's /
  Place root_place;
  std::vector<MountSpec> mounts;
  std::vector<DeviceSpec> devices;
  std::vector<BinfmtSpec> binfmt;
  std::vector<PluginSpec> plugins;
  bool allow_mount = false;  ///< its processes may change the mount table. mount(2), umount2(2)
  std::optional<IdentitySpec> identity;  ///< not given: that of who starts the view

  bool fake_root() const { return identity && identity->request.uid == uid_t{0}; }
  /// Root may mount without being told.
  bool may_mount_all() const { return allow_mount || fake_root(); }
  bool may_mount() const {
    return may_mount_all() || std::any_of(mounts.begin(), mounts.end(), is_by_user);
  }
};

struct AccessRecord;

/// What `run` does round the view.
struct RunOptions {
  std::vector<std::string> command;  ///< argv; [0] is searched in PATH of the view's environment
  std::optional<std::string> trace;  ///< --trace: "" is standard error, else a file
  bool stats = false;
  bool kill_on_exit = false;
  AccessRecord* record = nullptr;  ///< gets what the run uses; null: nobody asks
};

}  // namespace viewsh
