#include "viewsh/plugin.h"

#include <unistd.h>

#include <algorithm>
#include <memory>

#include "fixed_identity.h"

namespace viewsh {
namespace {

FixedIdentity::User present_user() {
  FixedIdentity::User user{geteuid(), getegid(), {}};
  const int count = getgroups(0, nullptr);
  user.groups.resize(static_cast<size_t>(std::max(count, 0)));
  if (count > 0) {
    const int now = getgroups(count, user.groups.data());
    user.groups.resize(static_cast<size_t>(std::max(now, 0)));
  }
  return user;
}

/// The user and group ids of one view.
class NamePlugin final : public Plugin {
 public:
  Identity* identity(const IdentityRequest& request, MountError* error) override {
    if (identity_) {
      *error = {Errno(EBUSY), "the view has one already"};
      return nullptr;
    }
    identity_ = std::make_unique<FixedIdentity>(present_user(), request);
    return identity_.get();
  }

 private:
  std::unique_ptr<FixedIdentity> identity_;
};

constexpr PluginEntry make_entry() {
  PluginEntry entry;
  entry.build_tag = VIEWSH_BUILD_TAG;
  entry.name = "umname";
  entry.version = "0.1.0";
  entry.description = "Another user and group id, root's for example, for the processes of a view";
  entry.provides = "identity";
  entry.create = [](Host*) -> Plugin* { return new NamePlugin(); };
  return entry;
}

const PluginEntry kEntry = make_entry();

}  // namespace
}  // namespace viewsh

VIEWSH_PLUGIN(viewsh::kEntry)
