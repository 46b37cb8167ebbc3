#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "fuse_channel.h"
#include "fuse_session.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// A second kernel's side of a server's connection, at the other end of a pair of packets: that of
/// the view that the server itself lives in. Its requests go to the server among the channel's own,
/// under numbers of the channel's, and the answers come back. Each side counts its own look-ups,
/// and the server counts both. FUSE_INIT is answered here, when the server has answered the
/// channel's; FUSE_DESTROY ends nothing.
///
/// The other side is another engine of the same build, which wants of FUSE_INIT what this one does.
class FuseRelay final : public std::enable_shared_from_this<FuseRelay> {
 public:
  /// `other` doesn't block. The channel and the session outlive this object.
  FuseRelay(UniqueFd other, FuseChannel& server, FuseSession& session)
      : other_(std::move(other)), server_(server), session_(session) {}

  /// To be called when fd() can be read, or written while wants_write(), and when the server may
  /// have answered.
  void pump();
  int fd() const { return other_.get(); }
  bool wants_write() const { return !unsent_.empty(); }
  /// One of the three is gone, and the other side has been told.
  bool ended() const { return ended_; }
  void end();
  /// What the server says unasked is for both.
  void notified(std::string_view packet) { send(std::string(packet)); }

 private:
  bool receive();
  void take(std::string_view packet);
  void interrupt(std::string_view packet);
  void answer_init();
  void answer(uint64_t unique, int32_t error, std::string_view payload);
  void send(std::string packet);
  void flush();

  UniqueFd other_;
  FuseChannel& server_;
  FuseSession& session_;
  uint64_t init_ = 0;  ///< the number of its FUSE_INIT, until that is answered
  std::unordered_map<uint64_t, uint64_t> asked_;  ///< its numbers, and the channel's
  std::deque<std::string> unsent_;
  std::string buffer_;
  bool ended_ = false;
};

}  // namespace viewsh
