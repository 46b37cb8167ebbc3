#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vfs/walk.h"
#include "view_builder.h"

namespace viewsh {

/// Makes a view of its description, one mount after the other: each is looked for, and put, in what
/// those before it show. Used once.
class Builder {
 public:
  Builder(const ViewSpec& spec, PluginHost* host, BuiltView* out, bool look_only)
      : spec_(spec), host_(host), out_(out), look_only_(look_only) {}
  UserError build();

 private:
  struct Target {
    std::string at;
    bool exists = false;
    bool directory = false;  ///< if it exists
    std::string host = "";   ///< what backs it; empty: nothing of the host's
  };
  UserError add_identity();
  UserError add_root();
  UserError add_kernel_dirs(const Place& place);
  UserError after_new_root(const MountSpec& spec, std::shared_ptr<const View> covered);
  UserError hide_own_state();
  UserError pass_kernel_mounts(const std::string& at, const View& below);
  UserError ask_for(const MountSpec& spec, MountRequest* request, Mount* mount);
  UserError add_mount(const MountSpec& spec);
  UserError allow_mounting(const MountSpec& spec);
  UserError leave_for_later(const MountSpec& spec);
  int held_by(const std::vector<std::string>& sources) const;
  UserError start_server(const MountSpec& spec, MountRequest* request);
  UserError meet_server(const MountSpec& spec, Mount* mount);
  UserError add_symlink(const MountSpec& spec);
  UserError find_real(const MountSpec& spec, const std::string& at,
                      const std::shared_ptr<FileSystem>& below, std::vector<Mount>* real);
  UserError put_back(std::vector<Mount> real, const MountSpec& spec);
  UserError check_target(const MountSpec& spec, const Target& target);
  UserError add_device(const DeviceSpec& spec);
  UserError add_mount_notes();
  UserError add_own_device(const std::string& path, const std::string& what,
                           std::unique_ptr<Device> device);
  UserError add_mount_devices();
  UserError add_binfmt(const BinfmtSpec& spec);
  UserError add_plugin(const PluginSpec& spec);
  UserError canonical(const std::string& path, const Place& place, bool must_exist, Target* target);
  UserError install(const Target& target, Mount mount, const Place& place);
  Result<void> scaffold(const std::string& at, bool directory);
  static Result<void> make_inside(const Walked& above, const std::string& rest, bool directory);
  std::shared_ptr<FileSystem> below() const;
  /// What stands on others, which may stop in the middle of a call, and knows nothing of that.
  std::shared_ptr<FileSystem> in_turns(std::shared_ptr<FileSystem> fs, const std::string& type);
  UserError wrong(const Place& place, const std::string& what, const std::string& why) const {
    std::string text = place.text.empty() ? "" : place.text + ": ";
    return {text + what + ": " + why};
  }
  /// Those that say something to the file system.
  static std::map<std::string, std::string> own_options(const MountSpec& spec);
  static const Caller& self();
  void find_traps();
  static bool is_own(const Mount& mount);

  const ViewSpec& spec_;
  PluginHost* host_;
  BuiltView* out_;
  bool look_only_;
  std::shared_ptr<const View> view_;
  /// Where sources are looked for, if not in the view so far: set where the view's root is another
  /// directory, or an empty one.
  std::shared_ptr<const View> host_view_;
  int next_id_ = 1;
};

}  // namespace viewsh
