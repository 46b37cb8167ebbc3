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
  int fd = -1;  ///< the device's
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

  /// Gets the first mount of the view, which then isn't one of it.
  using Taker = std::function<Result<void>(const FuseConnection&)>;
  void give_to(Taker taker) { taker_ = std::move(taker), gives_ = true; }
  /// The view is there for that, and tells nobody else of itself.
  bool gives() const { return gives_; }
  /// Once; empty: nobody wants it.
  Taker taker() { return std::exchange(taker_, nullptr); }

 private:
  Result<void> listen();
  void forget_closed();

  Taker taker_;
  bool gives_ = false;
  UniqueFd listener_;
  std::string address_;                          ///< a sockaddr_un
  std::unordered_map<uint64_t, UniqueFd> ours_;  ///< by inode of the server's end; mounted: empty
};

/// The device that is mounted at a place of the view; null: something else is.
FuseDevice* fuse_device_at(FileSystem& fs);
/// The one of the view; null: it has none.
FuseDevice* fuse_device_of(Session& session);

/// open(2) of it.
Outcome open_fuse(Call& call, FuseDevice& device, int flags);
/// FUSE_DEV_IOC_CLONE on a descriptor of it, the only request there is. Nullopt: it isn't one.
std::optional<Outcome> fuse_ioctl(Call& call, int fd, unsigned request, uint64_t argument);

}  // namespace viewsh
