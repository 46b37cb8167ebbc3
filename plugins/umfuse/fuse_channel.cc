#include "fuse_channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <chrono>
#include <climits>

#include "fuse_bytes.h"

namespace viewsh {
namespace {

/// An error in a reply is above this. fs/fuse/dev.c.
constexpr int32_t kLeastError = -512;
/// FUSE_INT_REQ_BIT of fs/fuse/dev_i.h.
constexpr uint64_t kInterruptBit = 1;
/// What a socket's buffer has beside the data of its largest packet. net/unix/af_unix.c.
constexpr size_t kSocketReserve = 32;
constexpr int kPacketsAtOnce = 256;

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// Told from a packet without bytes, which looks like the end, too.
bool hung_up(int fd) {
  pollfd poll = {.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 0) != 0 && (poll.revents & (POLLHUP | POLLERR)) != 0;
}

void enlarge(int fd) {
  // The kernel doubles it. One that it doesn't take in full shows in max_packet().
  const int size = FuseChannel::kMaxPacket * 2;
  (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

}  // namespace

Result<void> FusePollWait::wait(FuseChannel& channel, uint64_t unique) {
  if (unique != unique_) {
    unique_ = unique;
    end_ms_ = now_ms() + deadline_ms_;
  }
  const int64_t left = end_ms_ - now_ms();
  if (left <= 0) return Errno(ETIMEDOUT);
  const short events = channel.wants_write() ? POLLIN | POLLOUT : POLLIN;
  pollfd poll = {.fd = channel.fd(), .events = events, .revents = 0};
  TRY(from_libc(::poll(&poll, 1, static_cast<int>(std::min<int64_t>(left, INT_MAX)))));
  channel.pump();
  return {};
}

Result<std::pair<UniqueFd, UniqueFd>> FuseChannel::make_pair() {
  int fds[2];
  TRY(from_libc(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)));
  UniqueFd ours(fds[0]);
  UniqueFd server(fds[1]);
  enlarge(ours.get());
  enlarge(server.get());
  TRY(from_libc(::fcntl(ours.get(), F_SETFL, O_NONBLOCK)));
  return std::make_pair(std::move(ours), std::move(server));
}

FuseChannel::FuseChannel(UniqueFd fd) : fd_(std::move(fd)), buffer_(kMaxPacket, '\0') {
  int room = 0;
  socklen_t size = sizeof room;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &room, &size) == 0 && room > 0) {
    const auto bytes = static_cast<size_t>(room);
    max_packet_ = std::min(kMaxPacket, bytes - std::min(bytes, kSocketReserve));
  }
}

Result<std::string> FuseChannel::call(const FuseCall& call, FuseWait* wait) {
  const uint64_t unique = post(call);
  while (!done(unique)) {
    const auto waited = wait->wait(*this, unique);
    // request_wait_answer() of fs/fuse/dev.c
    if (!waited && waited.error() == EAGAIN) {
      if (!done(unique)) interrupt(unique);
      continue;
    }
    if (!waited && !done(unique)) {
      abandon(unique);
      return waited.error();
    }
  }
  return collect(unique);
}

FuseChannel::Request& FuseChannel::add(const FuseCall& call, uint64_t unique) {
  Request& request = requests_[unique];
  request.opcode = call.opcode;
  request.node = call.node;
  request.least = call.least;
  request.most = call.most;
  return request;
}

uint64_t FuseChannel::post(const FuseCall& call) {
  const uint64_t unique = next_;
  next_ += 2;
  if (dead_) return unique;
  add(call, unique);
  send(call, unique);
  // It had gone before.
  if (dead_) requests_[unique].error = Errno(ENOTCONN);
  return unique;
}

Result<std::string> FuseChannel::collect(uint64_t unique) {
  auto request = requests_.extract(unique);
  if (!request) return Errno(ENOTCONN);
  if (request.mapped().error.value() != 0) return request.mapped().error;
  return std::move(request.mapped().payload);
}

void FuseChannel::tell(const FuseCall& call, uint64_t unique, bool answered) {
  if (dead_) return;
  if (unique == 0) {
    unique = next_;
    next_ += 2;
  }
  if (answered) add(call, unique).abandoned = true;
  send(call, unique);
}

uint64_t FuseChannel::forward(std::string_view packet, Answered answered) {
  const uint64_t unique = next_;
  fuse_in_header header;
  if (!dead_ && fuse_get(packet, 0, &header)) {
    Request& request = add({.opcode = header.opcode, .node = header.nodeid}, unique);
    request.most = kMaxPacket;
    request.answered = std::move(answered);
  }
  forward(packet);
  return unique;
}

void FuseChannel::forward(std::string_view packet) {
  fuse_in_header header;
  if (dead_ || !fuse_get(packet, 0, &header)) return;
  const uint64_t unique = next_;
  next_ += 2;
  header.unique = unique;
  Packet own = {unique, std::string(fuse_bytes(header))};
  own.bytes.append(packet.substr(sizeof header));
  write_out(std::move(own));
}

bool FuseChannel::done(uint64_t unique) const {
  if (dead_) return true;
  const auto found = requests_.find(unique);
  return found == requests_.end() || found->second.done;
}

std::unordered_set<uint64_t> FuseChannel::unanswered_nodes() const {
  std::unordered_set<uint64_t> out;
  for (const auto& [unique, request] : requests_) {
    if (!request.done) out.insert(request.node);
  }
  return out;
}

uint64_t FuseChannel::unanswered(uint64_t node, uint32_t opcode) const {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const auto& one) {
    const Request& request = one.second;
    const bool asked = opcode == 0 || request.opcode == opcode;
    return request.abandoned && request.node == node && asked;
  });
  return found == requests_.end() ? 0 : found->first;
}

void FuseChannel::send(const FuseCall& call, uint64_t unique) {
  fuse_in_header header = {};
  size_t size = sizeof header;
  for (const std::string_view part : call.parts) size += part.size();
  if (size > max_packet_) {
    const auto found = requests_.find(unique);
    if (found == requests_.end()) return;
    found->second.done = true;
    found->second.error = Errno(E2BIG);
    return;
  }
  header.len = static_cast<uint32_t>(size);
  header.opcode = call.opcode;
  header.unique = unique;
  header.nodeid = call.node;
  header.uid = call.who.uid;
  header.gid = call.who.gid;
  header.pid = static_cast<uint32_t>(call.who.pid);
  Packet packet = {unique, {}};
  packet.bytes.reserve(size);
  packet.bytes.append(fuse_bytes(header));
  for (const std::string_view part : call.parts) packet.bytes.append(part);
  write_out(std::move(packet));
}

void FuseChannel::write_out(Packet packet) {
  unsent_.push_back(std::move(packet));
  flush();
}

void FuseChannel::flush() {
  while (!unsent_.empty()) {
    const std::string& bytes = unsent_.front().bytes;
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) return;
    if (sent < 0) {
      // Replies that came before the end still count.
      for (int i = 0; i < kPacketsAtOnce && receive(); ++i) {
      }
      die();
      return;
    }
    unsent_.pop_front();
  }
}

void FuseChannel::pump() {
  if (dead_) return;
  for (int i = 0; i < kPacketsAtOnce && receive(); ++i) {
  }
  if (!dead_) flush();
}

/// False: there is nothing more for now.
bool FuseChannel::receive() {
  if (dead_) return false;
  const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
  // After a reset there may be packets that came before it.
  if (size < 0 && (errno == EINTR || errno == ECONNRESET)) return true;
  if (size < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) return false;
  if (size < 0 || (size == 0 && hung_up(fd_.get()))) {
    die();
    return false;
  }
  const auto bytes = static_cast<size_t>(size);
  take(std::string_view(buffer_).substr(0, std::min(bytes, buffer_.size())), bytes);
  return true;
}

/// fuse_abort_conn() of fs/fuse/dev.c
void FuseChannel::die() {
  dead_ = true;
  ++replies_;
  unsent_.clear();
  std::erase_if(requests_, [](const auto& entry) {
    return entry.second.abandoned || entry.second.answered != nullptr;
  });
  for (auto& [unique, request] : requests_) {
    if (request.done) continue;
    request.done = true;
    request.error = Errno(ECONNABORTED);
  }
}

void FuseChannel::shut() {
  if (dead_) return;
  if (!leaves_end_) (void)::shutdown(fd_.get(), SHUT_RDWR);
  die();
}

void FuseChannel::take(std::string_view packet, size_t size) {
  fuse_out_header out;
  if (!fuse_get(packet, 0, &out)) {
    ++refused_;
    return;
  }
  const bool whole = out.len == size && packet.size() == size;
  const std::string_view payload = packet.substr(sizeof out);
  if (out.unique == 0) {
    FuseListener deaf;
    FuseListener* listener = listener_ != nullptr ? listener_ : &deaf;
    if (!whole || !fuse_notify(out.error, payload, listener)) {
      ++refused_;
    } else if (other_) {
      other_(packet);
    }
  } else if ((out.unique & kInterruptBit) != 0) {
    take_interrupt_reply(out);
  } else {
    take_reply(out, payload, whole);
  }
}

void FuseChannel::take_reply(const fuse_out_header& out, std::string_view payload, bool whole) {
  const auto found = requests_.find(out.unique);
  if (found == requests_.end() || found->second.done) {
    ++refused_;
    return;
  }
  Request& request = found->second;
  const bool error = out.error != 0;
  const bool sound =
      whole && out.error <= 0 && out.error > kLeastError &&
      (error ? payload.empty() : payload.size() >= request.least && payload.size() <= request.most);
  if (!sound) ++refused_;
  ++replies_;
  if (request.answered) {
    const auto gone = requests_.extract(found);
    return gone.mapped().answered(sound ? out.error : -EIO, sound ? payload : std::string_view());
  }
  if (request.abandoned) {
    auto gone = requests_.extract(found);
    if (sound && !error && listener_ != nullptr) {
      listener_->late(gone.mapped().opcode, gone.mapped().node, payload);
    }
    return;
  }
  request.done = true;
  if (!sound) {
    request.error = Errno(EIO);
  } else if (error) {
    request.error = Errno(-out.error);
  } else {
    request.payload = payload;
  }
}

/// EAGAIN: the server hadn't seen the request yet, and is told again. ENOSYS: it never listens.
void FuseChannel::take_interrupt_reply(const fuse_out_header& out) {
  const auto found = requests_.find(out.unique & ~kInterruptBit);
  if (found == requests_.end() || !found->second.interrupted) {
    ++refused_;
    return;
  }
  if (out.error == -ENOSYS) no_interrupt_ = true;
  // One that waits to be sent is enough.
  const bool queued = std::any_of(unsent_.begin(), unsent_.end(), [&](const Packet& packet) {
    return packet.unique == out.unique;
  });
  if (out.error == -EAGAIN && !queued) interrupt(found->first);
}

void FuseChannel::interrupt(uint64_t unique) {
  if (no_interrupt_ || dead_) return;
  requests_[unique].interrupted = true;
  const fuse_interrupt_in in = {.unique = unique};
  send({.opcode = FUSE_INTERRUPT, .parts = {fuse_bytes(in)}}, unique | kInterruptBit);
}

void FuseChannel::abandon(uint64_t unique) {
  const auto unsent = std::find_if(unsent_.begin(), unsent_.end(),
                                   [&](const Packet& packet) { return packet.unique == unique; });
  if (unsent != unsent_.end()) {
    unsent_.erase(unsent);
    requests_.erase(unique);
    return;
  }
  Request& request = requests_[unique];
  request.abandoned = true;
  if (!request.interrupted) interrupt(unique);
}

}  // namespace viewsh
