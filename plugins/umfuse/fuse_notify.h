#pragma once

#include <cstdint>
#include <string_view>

namespace viewsh {

/// Hears what a FUSE server says without having been asked, and what comes too late. Everything in
/// it is the server's word: numbers need not exist, names were checked (fuse_good_name()). Called
/// while a packet is taken in, so it must not ask the server anything. fs/fuse/dev.c,
/// fuse_notify().
class FuseListener {
 public:
  virtual ~FuseListener() = default;
  /// Attributes of a node may be others now; content too, from `offset` on, where that isn't
  /// negative. `length` <= 0: up to the end.
  virtual void inval_inode(uint64_t node, int64_t offset, int64_t length) {
    (void)node, (void)offset, (void)length;
  }
  /// What the name leads to may be something else now. `expire`: only its time is over.
  virtual void inval_entry(uint64_t parent, std::string_view name, bool expire) {
    (void)parent, (void)name, (void)expire;
  }
  /// The name of `child` went.
  virtual void deleted(uint64_t parent, uint64_t child, std::string_view name) {
    (void)parent, (void)child, (void)name;
  }
  /// A part of the content, for whoever keeps contents.
  virtual void store(uint64_t node, uint64_t offset, std::string_view data) {
    (void)node, (void)offset, (void)data;
  }
  /// The server wants back what was kept; it is owed a FUSE_NOTIFY_REPLY with this `unique`.
  virtual void retrieve(uint64_t unique, uint64_t node, uint64_t offset, uint32_t size) {
    (void)unique, (void)node, (void)offset, (void)size;
  }
  /// poll(2) of the handle that was given `kh` has something to tell.
  virtual void poll(uint64_t kh) { (void)kh; }
  /// The good reply to a request for which nobody waits any more: what it gave has to be given
  /// back. `node`: the request's.
  virtual void late(uint32_t opcode, uint64_t node, std::string_view payload) {
    (void)opcode, (void)node, (void)payload;
  }
};

/// FUSE_NAME_MAX of fs/fuse/fuse_i.h.
inline constexpr uint32_t kFuseNameMax = 1024;
/// O_LARGEFILE as the kernel sends it; the C library has 0 for it.
inline constexpr uint32_t kFuseLargeFile = 0100000;

/// A name that a server may give: not empty, ".", "..", too long, and without '/' or NUL.
bool fuse_good_name(std::string_view name);

/// Takes a notification apart. False: it can't be one; the listener heard nothing.
bool fuse_notify(int32_t code, std::string_view payload, FuseListener* listener);

}  // namespace viewsh
