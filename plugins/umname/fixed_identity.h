#pragma once

#include <sys/types.h>

#include <vector>

#include "viewsh/identity.h"

namespace viewsh {

/// One identity for all processes of a view, which none of them can leave: the user that the kernel
/// knows has other ids there. What belongs to him is shown as theirs, what is another's as it is.
class FixedIdentity final : public Identity {
 public:
  /// The user as the kernel has him.
  struct User {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
  };
  FixedIdentity(User user, const IdentityRequest& request);

  const Credentials& credentials() const override { return shown_; }
  uid_t shown_uid(uid_t host) const override { return host == user_.uid ? shown_.euid : host; }
  gid_t shown_gid(gid_t host) const override { return host == user_.gid ? shown_.egid : host; }
  /// What changes nothing. As another user or group nothing would be done.
  Result<void> change(const Credentials& wanted) override;

 private:
  User user_;
  Credentials shown_;
};

}  // namespace viewsh
