#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "syscalls/call.h"
#include "viewsh/device.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// What mount(2) of a FUSE server says, and our end of its connection.
struct FuseConnection {
  int fd = -1;     ///< the device's
  int other = -1;  ///< one end of a pair: at the other one this view may have the mount as well
  std::string source;
  std::string options;  ///< with "ro" where the flags say so
};

/// /dev/fuse of a view in which may be mounted. Whoever opens it gets one end of a connection of
/// packets (AF_UNIX, SOCK_SEQPACKET), whose other end goes to the file system that mount(2) makes
/// of it: a request or a reply is a packet, so read(2) and write(2) are the kernel's own. fuse(4)
class FuseDevice final : public Device {
 public:
  Attr attr() const override;
  /// Only by open_fuse().
  Result<std::string> open(int) override { return Errno(ENXIO); }

  /// Connects a task's fresh socket, whose other end is kept until take().
  Result<void> connect(const UniqueFd& socket);
  /// Our end for a descriptor of a task. EINVAL: it isn't open on /dev/fuse, or is mounted already.
  Result<UniqueFd> take(const UniqueFd& socket);
  bool knows(const UniqueFd& socket) const;
  /// Has a task a descriptor of it?
  bool is_held(pid_t tid) const;

  /// A connection that was taken is that of a file system. Its server isn't to see an end of file
  /// when that goes, so the connection stays until the server has heard of it: end().
  void mounted(const UniqueFd& socket, const FileSystem& fs);
  void end(const FileSystem& fs);
  /// The same for those that were given away.
  void end_given();
  /// Some descriptor's connection isn't there yet, or has ended.
  bool has_unconnected();
  /// What read(2) says to a descriptor of such a one; 0: it is none. `link`: its link in /proc.
  int read_error(const std::string& link) const;
  /// For who waits in a way that can't be answered otherwise: an end of file.
  void hang_up();

  /// Gets the first mount of the view. True: its requests are answered at FuseConnection::other,
  /// too, and the view shows it; else it isn't one of the view's.
  using Taker = std::function<Result<bool>(const FuseConnection&)>;
  void give_to(Taker taker) { taker_ = std::move(taker), gives_ = true; }
  /// The view is there for that, and tells nobody else of itself.
  bool gives() const { return gives_; }
  /// Once; empty: nobody wants it.
  Taker taker() { return std::exchange(taker_, nullptr); }

 private:
  Result<void> listen();
  void forget_closed();

  struct Connection {
    UniqueFd ours;
    bool taken = false;
    const FileSystem* fs = nullptr;  ///< to compare with alone
    bool ended = false;
  };
  Connection* find(const UniqueFd& socket);

  Taker taker_;
  bool gives_ = false;
  UniqueFd listener_;
  std::string address_;                                   ///< a sockaddr_un
  std::unordered_map<uint64_t, Connection> connections_;  ///< by inode of the server's end
};

/// The device that is mounted at a place of the view; null: something else is.
FuseDevice* fuse_device_at(FileSystem& fs);
/// The one of the view; null: it has none.
FuseDevice* fuse_device_of(Session& session);

/// A file system of the view was ended: its server, if it has one, is told. Who does that is
/// Session::server_left.
void fuse_ended(Session& session, const FileSystem& fs);
/// Whose connection has ended is told.
void fuse_tell(Session& session);

/// Two connected ends for packets as they are on a connection.
Result<std::pair<UniqueFd, UniqueFd>> make_fuse_pair();

/// open(2) of it.
Outcome open_fuse(Call& call, FuseDevice& device, int flags);
/// FUSE_DEV_IOC_CLONE on a descriptor of it, the only request there is. Nullopt: it isn't one.
std::optional<Outcome> fuse_ioctl(Call& call, int fd, unsigned request, uint64_t argument);

}  // namespace viewsh
