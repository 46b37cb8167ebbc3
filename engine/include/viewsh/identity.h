#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "viewsh/result.h"

namespace viewsh {

/// What a process is to those who ask for its ids. credentials(7).
struct Credentials {
  uid_t ruid = 0;
  uid_t euid = 0;
  uid_t suid = 0;
  uid_t fsuid = 0;
  gid_t rgid = 0;
  gid_t egid = 0;
  gid_t sgid = 0;
  gid_t fsgid = 0;
  std::vector<gid_t> groups;
  bool operator==(const Credentials&) const = default;
};

/// The profile's `identity`; what isn't given is that of who starts the view.
struct IdentityRequest {
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<std::vector<gid_t>> groups;  ///< not given: the gid alone, if that is given
};

/// Who the processes of a view are in it: the one place that knows both the ids that the kernel has
/// for them and those that they see. Owned by its plugin.
class Identity {
 public:
  virtual ~Identity() = default;
  /// Of each process of the view. Stays the same object to the end.
  virtual const Credentials& credentials() const = 0;
  /// The owner that the view shows where the kernel says `host`: of files, of processes.
  virtual uid_t shown_uid(uid_t host) const = 0;
  virtual gid_t shown_gid(gid_t host) const = 0;
  /// May a process that is credentials() have these by setuid(2) and its kin, of which the kernel's
  /// rules hold already? EPERM: no.
  virtual Result<void> change(const Credentials& wanted) = 0;
};

}  // namespace viewsh
