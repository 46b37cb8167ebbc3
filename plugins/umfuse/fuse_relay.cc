#include "fuse_relay.h"

#include <sys/socket.h>

#include <cstring>

#include "fuse_bytes.h"

namespace viewsh {

void FuseRelay::pump() {
  constexpr int kPacketsAtOnce = 256;
  if (server_.dead()) end();
  for (int i = 0; i < kPacketsAtOnce && !ended_ && receive(); ++i) {
  }
  if (ended_) return;
  answer_init();
  flush();
}

void FuseRelay::end() {
  if (ended_) return;
  ended_ = true;
  unsent_.clear();
  asked_.clear();
  (void)::shutdown(other_.get(), SHUT_RDWR);
}

/// False: there is nothing more for now.
bool FuseRelay::receive() {
  buffer_.resize(FuseChannel::kMaxPacket);
  const ssize_t size = ::recv(other_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (size < 0 && errno == EINTR) return true;
  if (size < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) return false;
  // No packet of the other side's is empty.
  if (size <= 0) {
    end();
    return false;
  }
  take(std::string_view(buffer_).substr(0, static_cast<size_t>(size)));
  return true;
}

void FuseRelay::take(std::string_view packet) {
  fuse_in_header header;
  if (!fuse_get(packet, 0, &header) || header.len != packet.size()) return end();
  switch (header.opcode) {
    case FUSE_INIT:
      init_ = header.unique;
      return;
    case FUSE_DESTROY:
      return answer(header.unique, 0, {});
    case FUSE_NOTIFY_REPLY:
      return;  // the channel's side has answered
    case FUSE_INTERRUPT:
      return interrupt(packet);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
      return server_.forward(packet);
    default:
      break;
  }
  const auto answered = [weak = weak_from_this(), unique = header.unique](
                            int32_t error, std::string_view payload) {
    const std::shared_ptr<FuseRelay> self = weak.lock();
    if (self == nullptr) return;
    self->asked_.erase(unique);
    self->answer(unique, error, payload);
  };
  asked_[header.unique] = server_.forward(packet, answered);
  if (server_.dead()) end();
}

void FuseRelay::interrupt(std::string_view packet) {
  fuse_interrupt_in in;
  if (!fuse_get(packet, sizeof(fuse_in_header), &in)) return end();
  const auto asked = asked_.find(in.unique);
  if (asked != asked_.end()) server_.interrupt(asked->second);
}

void FuseRelay::answer_init() {
  if (init_ == 0 || !session_.answered()) return;
  // There is nothing to wait for.
  if (!session_.ready()) return end();
  answer(init_, 0, session_.init_reply());
  init_ = 0;
}

void FuseRelay::answer(uint64_t unique, int32_t error, std::string_view payload) {
  fuse_out_header out = {};
  out.len = static_cast<uint32_t>(sizeof out + payload.size());
  out.error = error;
  out.unique = unique;
  std::string packet(fuse_bytes(out));
  packet.append(payload);
  send(std::move(packet));
}

void FuseRelay::send(std::string packet) {
  if (ended_) return;
  unsent_.push_back(std::move(packet));
  flush();
}

void FuseRelay::flush() {
  while (!unsent_.empty()) {
    const std::string& packet = unsent_.front();
    const ssize_t sent =
        ::send(other_.get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) return;
    if (sent < 0) return end();
    unsent_.pop_front();
  }
}

}  // namespace viewsh
