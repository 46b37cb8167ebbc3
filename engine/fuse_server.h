#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>

#include "engine.h"
#include "view_spec.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// "fuse.NAME", with the program NAME: one of the mounts of a specification that a server serves.
inline bool is_fuse_server(const std::string& type) {
  return type.size() > 5 && type.starts_with("fuse.");
}

/// The server of such a mount, which runs as long as the view: `NAME SOURCE AT -o OPTIONS`, as
/// mount.fuse3(8) starts it. It isn't a process of the view but one beside it: it has the system as
/// it is, without the view's mounts, in a view of its own where nothing differs but that it can
/// mount. What it mounts is handed to us; its own view shows it, too, as servers look at it,
/// through a second connection, but where that would cover what it needs.
class FuseServer {
 public:
  FuseServer() = default;
  FuseServer(const FuseServer&) = delete;
  FuseServer& operator=(const FuseServer&) = delete;
  /// The server ends: it is told that its mount is gone, as after umount(2); then it gets the end
  /// of its connection, after a moment SIGTERM, then SIGKILL.
  ~FuseServer();

  /// The program that `type` names is there.
  static UserError check(const MountSpec& spec);
  /// Starts it, and waits until it has mounted: kStartSeconds at most, since it may ask for a
  /// password. Its standard error is ours.
  UserError start(const MountSpec& spec, const EnvSpec& env);

  /// Our end, and what else the server told mount(2).
  const std::shared_ptr<UniqueFd>& connection() const { return connection_; }
  /// What our file system is to answer beside it, once; none: its view doesn't show the mount.
  UniqueFd take_other() { return std::move(other_); }
  const std::string& source() const { return source_; }
  const std::map<std::string, std::string>& options() const { return options_; }
  std::string shown_options() const;

  /// Waits until there is something from the server: its answer, or its end.
  bool answers() const;

  static constexpr int kStartSeconds = 60;
  static constexpr int kAnswerSeconds = 20;

 private:
  [[noreturn]] static void run(const MountSpec& spec, const EnvSpec& env, int control);
  UserError receive(int control);
  bool ended(int milliseconds);

  pid_t engine_ = -1;  ///< of its view
  int status_ = 0;
  std::shared_ptr<UniqueFd> connection_;
  UniqueFd control_;  ///< at its end the server's view ends the server's connection
  UniqueFd same_;     ///< the connection, for its end
  UniqueFd other_;    ///< for who asks from the server's view
  std::string source_;
  std::map<std::string, std::string> options_;
};

}  // namespace viewsh
