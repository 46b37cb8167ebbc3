#pragma once

#include <linux/fuse.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "fuse_notify.h"
#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

class FuseChannel;

/// How a request waits. The engine suspends the task's call in here and goes on with others; a test
/// blocks (FusePollWait).
class FuseWait {
 public:
  virtual ~FuseWait() = default;
  /// Comes back when something may have changed for the request: FuseChannel::pump() was called
  /// since, by whoever. The caller asks again, and waits again. EAGAIN: the server is to be told
  /// that the task has a signal, and is waited for all the same. EINTR: the task ends; any other
  /// error ends the request as well.
  virtual Result<void> wait(FuseChannel& channel, uint64_t unique) = 0;
};

/// Waits in poll(2). ETIMEDOUT: the request wasn't answered in time; EINTR: a signal came.
class FusePollWait final : public FuseWait {
 public:
  /// `deadline_ms` counts from the first wait of a request.
  explicit FusePollWait(int deadline_ms) : deadline_ms_(deadline_ms) {}
  Result<void> wait(FuseChannel& channel, uint64_t unique) override;

 private:
  int deadline_ms_;
  uint64_t unique_ = 0;
  int64_t end_ms_ = 0;
};

/// For whom a request is: the file-system uid and gid of the task, and its thread group.
struct FuseWho {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

/// A request to be sent, and the sizes that its reply's payload may have.
struct FuseCall {
  uint32_t opcode = 0;
  uint64_t node = 0;
  FuseWho who = {};
  std::array<std::string_view, 5> parts = {};  ///< what follows the header
  size_t least = 0;
  size_t most = 0;
};

/// Requests to one FUSE server and its replies, over one end of a SOCK_SEQPACKET socket pair; the
/// server has the other one for its /dev/fuse. fs/fuse/dev.c.
///
/// Nothing blocks but FuseWait::wait(). What the socket doesn't take at once is kept and sent by
/// pump(). While a request waits, other calls of this object are fine, by the same thread.
///
/// A server writes what it likes. With /dev/fuse a wrong reply is an error of its write(2), and the
/// request is ended with EIO if only the length of the reply is wrong, else it goes on waiting.
/// Over a socket the write has succeeded already, so here
/// - a packet shorter than a header, or for a request that doesn't wait (it never was, or was
///   answered before) is dropped and counted;
/// - any other packet that can't be a reply (its length isn't the header's, the error is none, the
///   payload too short or too long, payload with an error) ends its request with EIO;
/// - a server that is gone gives ECONNABORTED to all requests that wait, and ENOTCONN to later
/// ones.
///
/// splice(2) into a socket makes packets of 16 pages each, which are none of these replies. libfuse
/// does that where the file system asks for it, unless vmsplice(2) fails: then it writes. Whoever
/// gives a server its end sees to that.
class FuseChannel {
 public:
  /// Of a packet: header and arguments beside 128 KiB of data.
  static constexpr size_t kHeadroom = 4096;
  static constexpr size_t kMaxData = 128 << 10;
  static constexpr size_t kMaxPacket = kMaxData + kHeadroom;

  /// Two connected ends, whose buffers take kMaxPacket if the system allows: first ours
  /// (close-on-exec, not blocking), then the server's (blocking).
  static Result<std::pair<UniqueFd, UniqueFd>> make_pair();

  explicit FuseChannel(UniqueFd fd);
  FuseChannel(const FuseChannel&) = delete;
  FuseChannel& operator=(const FuseChannel&) = delete;

  /// Sends a request and waits for the payload of its reply. Errors: the server's; EIO as above;
  /// ECONNABORTED and ENOTCONN; what `wait` said, after which the server is told (FUSE_INTERRUPT)
  /// and its reply is dropped.
  Result<std::string> call(const FuseCall& call, FuseWait* wait);
  /// The same in parts: post() sends, and when done() says so, collect() has what call() returns.
  uint64_t post(const FuseCall& call);
  Result<std::string> collect(uint64_t unique);
  /// Sends what has no reply: FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_NOTIFY_REPLY (whose `unique` is
  /// the server's), and what nobody waits for: with `answered` the reply is awaited and dropped.
  void tell(const FuseCall& call, uint64_t unique = 0, bool answered = false);

  /// What somebody else asks of the same server: a whole packet, which gets a number of ours. The
  /// answer is his, whatever it is: 0 or the negative error of a reply. A server that is gone gives
  /// none.
  using Answered = std::function<void(int32_t error, std::string_view payload)>;
  uint64_t forward(std::string_view packet, Answered answered);
  /// The same for what has no answer.
  void forward(std::string_view packet);
  /// The server is told that who asked this wants to be done with it.
  void interrupt(uint64_t unique);
  /// Gets all notifications, whole.
  void also_notify(std::function<void(std::string_view packet)> other) { other_ = other; }

  /// Takes in the packets that are there, up to a limit that no server can hold the caller with,
  /// and sends what was kept. To be called when fd() can be read, or written while wants_write().
  void pump();
  int fd() const { return fd_.get(); }
  bool wants_write() const { return !unsent_.empty(); }
  /// Is there an answer, of whatever kind?
  bool done(uint64_t unique) const;
  /// A request on this node of which nobody waits for the answer, which isn't there yet. 0: none.
  /// `opcode`: 0 for any.
  uint64_t unanswered(uint64_t node, uint32_t opcode = 0) const;
  /// The nodes of all requests that aren't answered yet.
  std::unordered_set<uint64_t> unanswered_nodes() const;
  /// How often something was answered so far, or became what won't be.
  uint64_t replies() const { return replies_; }
  bool dead() const { return dead_; }
  /// The server gets end of file, or where its end is in somebody else's hands isn't heard any
  /// more.
  void shut();
  void leave_end() { leaves_end_ = true; }
  bool leaves_end() const { return leaves_end_; }
  /// Called for notifications and late replies. May be null.
  void listen(FuseListener* listener) { listener_ = listener; }
  /// The largest packet that can be sent.
  size_t max_packet() const { return max_packet_; }
  /// Packets that were dropped since they can't be anything.
  uint64_t refused() const { return refused_; }
  /// Requests that were sent and not answered, abandoned ones among them.
  size_t waiting() const { return requests_.size(); }

  /// Takes one packet as if it had been received; `size` is what its sender gave it, more than
  /// the bytes there are if it was cut. For pump(), and for tests.
  void take(std::string_view packet, size_t size);

 private:
  struct Request {
    uint32_t opcode = 0;
    uint64_t node = 0;
    size_t least = 0;
    size_t most = 0;
    bool abandoned = false;
    bool interrupted = false;  ///< the server was told so
    bool done = false;
    Errno error;
    std::string payload;
    Answered answered;  ///< it is somebody else's
  };
  struct Packet {
    uint64_t unique = 0;
    std::string bytes;
  };
  Request& add(const FuseCall& call, uint64_t unique);
  void send(const FuseCall& call, uint64_t unique);
  void write_out(Packet packet);
  void flush();
  bool receive();
  void die();
  void take_reply(const fuse_out_header& out, std::string_view payload, bool whole);
  void take_interrupt_reply(const fuse_out_header& out);
  void abandon(uint64_t unique);

  UniqueFd fd_;
  bool dead_ = false;
  bool leaves_end_ = false;
  bool no_interrupt_ = false;
  uint64_t next_ = 2;  ///< even; the odd number behind it is that of its interrupt, as in Linux
  size_t max_packet_ = kMaxPacket;
  std::unordered_map<uint64_t, Request> requests_;
  std::deque<Packet> unsent_;
  std::string buffer_;
  FuseListener* listener_ = nullptr;
  std::function<void(std::string_view)> other_;
  uint64_t refused_ = 0;
  uint64_t replies_ = 0;
};

}  // namespace viewsh
