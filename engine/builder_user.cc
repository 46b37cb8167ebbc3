// Mounts that the view's processes may make and take away. fstab(5)
#include <algorithm>

#include "builder.h"

namespace viewsh {

std::map<std::string, std::string> Builder::own_options(const MountSpec& spec) {
  std::map<std::string, std::string> out = spec.options;
  std::erase_if(out, [](const auto& option) { return is_mounting_option(option.first); });
  return out;
}

/// What `user` and `noauto` mean for it.
UserError Builder::allow_mounting(const MountSpec& spec) {
  if (!is_by_user(spec) && !is_for_later(spec)) return {};
  const std::string what = spec.type + " at " + spec.at;
  const bool served = is_fuse_server(spec.type);
  if (served && !is_for_later(spec))
    return wrong(spec.place, what,
                 "its server begins and ends with the view; with noauto it is mounted later");
  if (is_for_later(spec) && !is_by_user(spec) && !spec_.may_mount_all())
    return wrong(spec.place, what, "noauto: nobody may mount it; add user, or allow: [mount]");
  if (!is_by_user(spec)) return {};
  Target target;
  Target source;
  if (UserError error = canonical(spec.at, spec.place, false, &target)) return error;
  if (!spec.sources.empty() && !served) {
    if (UserError error = canonical(spec.sources[0], spec.place, false, &source)) return error;
  }
  out_->user_mounts.push_back({spec.type, source.at, target.at, own_options(spec)});
  return {};
}

/// Only its mount point is there when the view begins.
UserError Builder::leave_for_later(const MountSpec& spec) {
  Target target;
  if (UserError error = canonical(spec.at, spec.place, false, &target)) return error;
  if (target.exists) return {};
  const Result<void> made = scaffold(target.at, true);
  return made.ok() ? UserError{} : wrong(spec.place, target.at, made.error().message());
}

/// The mount that may be taken away in which one of the sources of another lies. 0: none does.
int Builder::held_by(const std::vector<std::string>& sources) const {
  for (const std::string& source : sources) {
    const std::shared_ptr<const Mount> mount = view_->locate(source).mount;
    if (mount->late) return mount->id;
    if (mount->source_in != 0) return mount->source_in;
  }
  return 0;
}

}  // namespace viewsh
