#include "fuse_session.h"

#include <algorithm>

#include "fuse_bytes.h"

namespace viewsh {
namespace {

constexpr uint32_t kPage = 4096;
/// FUSE_DEFAULT_MAX_PAGES_PER_REQ of fs/fuse/fuse_i.h.
constexpr uint32_t kDefaultPages = 32;
/// Readahead belongs to a page cache; there is none here. Servers only want a number.
constexpr uint32_t kReadahead = 128 << 10;
/// How many nodes are forgotten at a time.
constexpr size_t kForgetsAtOnce = 200;

/// What is offered: only what FuseImage does, or what changes nothing for it: modes are sent with
/// the umask taken off, which does no harm to who takes it off himself. Not offered: locks (they
/// stay with the engine), splice (a socket cuts such packets), the write-back cache, ACLs, DAX,
/// submounts.
constexpr uint64_t kOffer = FUSE_ASYNC_READ | FUSE_EXPORT_SUPPORT | FUSE_BIG_WRITES |
                            FUSE_DONT_MASK | FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
                            FUSE_ASYNC_DIO | FUSE_NO_OPEN_SUPPORT | FUSE_PARALLEL_DIROPS |
                            FUSE_ABORT_ERROR | FUSE_MAX_PAGES | FUSE_NO_OPENDIR_SUPPORT |
                            FUSE_EXPLICIT_INVAL_DATA | FUSE_INIT_EXT | FUSE_HAS_EXPIRE_ONLY;

struct Since {
  uint64_t flag;
  uint32_t minor;
};
/// The version that brought a flag: an older one must not see it.
constexpr Since kSince[] = {
    {FUSE_EXPORT_SUPPORT, 10},  {FUSE_BIG_WRITES, 9},          {FUSE_DONT_MASK, 12},
    {FUSE_AUTO_INVAL_DATA, 20}, {FUSE_DO_READDIRPLUS, 21},     {FUSE_ASYNC_DIO, 22},
    {FUSE_NO_OPEN_SUPPORT, 23}, {FUSE_PARALLEL_DIROPS, 25},    {FUSE_ABORT_ERROR, 27},
    {FUSE_MAX_PAGES, 28},       {FUSE_NO_OPENDIR_SUPPORT, 29}, {FUSE_EXPLICIT_INVAL_DATA, 30},
    {FUSE_INIT_EXT, 36},        {FUSE_HAS_EXPIRE_ONLY, 38},
};

uint64_t offer_for(uint32_t minor) {
  uint64_t offer = kOffer;
  for (const Since& since : kSince) {
    if (minor < since.minor) offer &= ~since.flag;
  }
  return offer;
}

size_t init_in_size(uint32_t minor) {
  return minor >= 36 ? sizeof(fuse_init_in) : offsetof(fuse_init_in, flags2);
}

}  // namespace

void FuseSession::start() {
  const uint64_t offer = offer_for(options_.minor);
  fuse_init_in in = {};
  in.major = FUSE_KERNEL_VERSION;
  in.minor = options_.minor;
  in.max_readahead = kReadahead;
  in.flags = static_cast<uint32_t>(offer);
  in.flags2 = static_cast<uint32_t>(offer >> 32);
  init_ = channel_.post({.opcode = FUSE_INIT,
                         .parts = {fuse_bytes(in).substr(0, init_in_size(options_.minor))},
                         .least = FUSE_COMPAT_INIT_OUT_SIZE,
                         .most = sizeof(fuse_init_out)});
}

Result<void> FuseSession::ready() {
  if (init_ == 0) start();
  while (!started_ && !channel_.done(init_)) {
    const Result<void> waited = wait_.wait(channel_, init_);
    if (!waited && waited.error() != EAGAIN) return waited;
  }
  if (!started_) started_ = take_init();
  return *started_;
}

Result<void> FuseSession::take_init() {
  const auto reply = channel_.collect(init_);
  // Who waits for the answer has asked for nothing yet. fuse_get_req() of fs/fuse/dev.c
  if (!reply) return reply.error() == ECONNABORTED ? Errno(ENOTCONN) : reply.error();
  init_reply_ = *reply;
  return agree(init_reply_);
}

Result<void> FuseSession::agree(std::string_view reply) {
  fuse_init_out out = {};
  if (!fuse_get_old(reply, 0, std::min(reply.size(), sizeof out), &out)) return Errno(EPROTO);
  if (out.major != FUSE_KERNEL_VERSION || out.minor < kOldestMinor) return Errno(EPROTO);
  minor_ = std::min(out.minor, options_.minor);
  if (reply.size() < FUSE_COMPAT_22_INIT_OUT_SIZE) return Errno(EPROTO);
  uint64_t flags = out.flags;
  if ((flags & FUSE_INIT_EXT) != 0) flags |= static_cast<uint64_t>(out.flags2) << 32;
  // What wasn't offered can't be had.
  flags_ = flags & offer_for(options_.minor);

  const size_t packet = std::max(channel_.max_packet(), FuseChannel::kHeadroom + kPage);
  const auto fits = static_cast<uint32_t>((packet - FuseChannel::kHeadroom) / kPage * kPage);
  const uint32_t pages = has(FUSE_MAX_PAGES) && out.max_pages != 0 ? out.max_pages : kDefaultPages;
  const uint32_t most = std::min(fits, pages * kPage);
  max_write_ = std::min(most, std::max(out.max_write, kPage));
  if (!has(FUSE_BIG_WRITES)) max_write_ = kPage;
  max_read_ = options_.max_read == 0 ? most : std::min(most, std::max(options_.max_read, kPage));
  return {};
}

void FuseSession::destroy() {
  if (channel_.dead()) return;
  // One that never got as far as that has nothing to end.
  if (!started_ && !channel_.done(init_)) return channel_.shut();
  // The threads of a server take requests in any order: one would end what others, who are at a
  // FUSE_RELEASE, work on. fuse_conn_destroy() of fs/fuse/inode.c
  if (!options_.destroys) return channel_.shut();
  if (channel_.leaves_end()) {
    // The one who unmounts may be the server, at its end.
    channel_.tell({.opcode = FUSE_DESTROY, .who = who_}, 0, true);
    return channel_.shut();
  }
  // Servers that don't know it say ENOSYS; one that doesn't answer is left alone as well.
  (void)ask_nothing(FUSE_DESTROY, 0, {});
  channel_.shut();
}

Result<std::string> FuseSession::ask_as(const FuseWho& who, uint32_t opcode, uint64_t node,
                                        std::array<std::string_view, 5> parts, size_t least,
                                        size_t most) {
  TRY(ready());
  if (!to_forget_.empty() && channel_.replies() != replies_) forget_waiting();
  return channel_.call(
      {.opcode = opcode, .node = node, .who = who, .parts = parts, .least = least, .most = most},
      &wait_);
}

Result<void> FuseSession::ask_nothing(uint32_t opcode, uint64_t node,
                                      std::array<std::string_view, 5> parts) {
  const auto reply = ask(opcode, node, parts, 0, 0);
  if (!reply) return reply.error();
  return {};
}

void FuseSession::tell(uint32_t opcode, uint64_t node, std::array<std::string_view, 5> parts,
                       bool answered) {
  channel_.tell({.opcode = opcode, .node = node, .who = who_, .parts = parts}, 0, answered);
}

void FuseSession::forget(const std::vector<fuse_forget_one>& nodes) {
  to_forget_.insert(to_forget_.end(), nodes.begin(), nodes.end());
  forget_waiting();
}

void FuseSession::forget_waiting() {
  replies_ = channel_.replies();
  const auto unanswered = channel_.unanswered_nodes();
  std::vector<fuse_forget_one> nodes;
  std::erase_if(to_forget_, [&](const fuse_forget_one& one) {
    const bool now = unanswered.count(one.nodeid) == 0;
    if (now) nodes.push_back(one);
    return now;
  });
  constexpr uint32_t kBatchSince = 16;
  if (nodes.size() == 1 || minor_ < kBatchSince) {
    for (const fuse_forget_one& one : nodes) {
      const fuse_forget_in in = {.nlookup = one.nlookup};
      channel_.tell({.opcode = FUSE_FORGET, .node = one.nodeid, .parts = {fuse_bytes(in)}});
    }
    return;
  }
  for (size_t at = 0; at < nodes.size(); at += kForgetsAtOnce) {
    const size_t count = std::min(kForgetsAtOnce, nodes.size() - at);
    const fuse_batch_forget_in in = {.count = static_cast<uint32_t>(count), .dummy = 0};
    const std::string_view list(reinterpret_cast<const char*>(&nodes[at]),
                                count * sizeof(fuse_forget_one));
    channel_.tell({.opcode = FUSE_BATCH_FORGET, .parts = {fuse_bytes(in), list}});
  }
}

void FuseSession::nothing_kept(uint64_t unique, uint64_t node, uint64_t offset) {
  fuse_notify_retrieve_in in = {};
  in.offset = offset;
  channel_.tell({.opcode = FUSE_NOTIFY_REPLY, .node = node, .parts = {fuse_bytes(in)}}, unique);
}

size_t FuseSession::entry_size() const {
  return minor_ < 9 ? FUSE_COMPAT_ENTRY_OUT_SIZE : sizeof(fuse_entry_out);
}
size_t FuseSession::attr_out_size() const {
  return minor_ < 9 ? FUSE_COMPAT_ATTR_OUT_SIZE : sizeof(fuse_attr_out);
}
size_t FuseSession::attr_size() const { return attr_out_size() - offsetof(fuse_attr_out, attr); }
size_t FuseSession::mknod_in_size() const {
  return minor_ < 12 ? FUSE_COMPAT_MKNOD_IN_SIZE : sizeof(fuse_mknod_in);
}
/// fs/fuse/dir.c: before 7.12 the request was that of FUSE_OPEN.
size_t FuseSession::create_in_size() const {
  return minor_ < 12 ? sizeof(fuse_open_in) : sizeof(fuse_create_in);
}
size_t FuseSession::write_in_size() const {
  return minor_ < 9 ? FUSE_COMPAT_WRITE_IN_SIZE : sizeof(fuse_write_in);
}
size_t FuseSession::read_in_size() const {
  return minor_ < 9 ? offsetof(fuse_read_in, lock_owner) : sizeof(fuse_read_in);
}
size_t FuseSession::getattr_in_size() const { return minor_ < 9 ? 0 : sizeof(fuse_getattr_in); }

}  // namespace viewsh
