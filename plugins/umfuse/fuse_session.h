#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuse_channel.h"

namespace viewsh {

/// What is offered to a server, and options of the mount that say how it is used. mount.fuse3(8).
struct FuseOptions {
  uint32_t minor = 38;              ///< of protocol 7, at most FUSE_KERNEL_MINOR_VERSION
  mode_t rootmode = S_IFDIR;        ///< rootmode=: what the mount point is
  uint32_t max_read = 0;            ///< max_read=N; 0: no limit but the protocol's
  int64_t max_unknown = 1LL << 30;  ///< of a content that says its length only by its end
  bool destroys = true;             ///< FUSE_DESTROY at the end; in Linux of type fuseblk alone
  bool checked = true;  ///< callers are who they say; else all are who the session is for
};

/// A FUSE connection after FUSE_INIT: what both sides agreed on, the sizes of structures in that
/// version, and which operations the server was found not to have. fs/fuse/inode.c.
class FuseSession {
 public:
  static constexpr uint32_t kOldestMinor = 8;

  FuseSession(FuseChannel& channel, FuseWait& wait, const FuseOptions& options)
      : channel_(channel), wait_(wait), options_(options) {}

  /// Sends FUSE_INIT. mount(2) is over before a server reads it, so nothing waits here.
  void start();
  /// Waits until the server has answered it, as each request does. EPROTO: another major version,
  /// one too old, or a reply that can't be. EINTR leaves the session as it is.
  Result<void> ready();
  /// It has, or will not any more: ready() doesn't wait.
  bool answered() const { return started_ || (init_ != 0 && channel_.done(init_)); }
  /// What the server answered, once it has.
  const std::string& init_reply() const { return init_reply_; }
  /// FUSE_DESTROY where it is sent, and the server's end of file. No error: a server that is gone
  /// has ended, too.
  void destroy();

  /// For whom requests are from now on.
  void set_who(const FuseWho& who) { who_ = who; }
  const FuseWho& who() const { return who_; }

  /// A request whose reply is of one size, or of any up to `most`.
  Result<std::string> ask(uint32_t opcode, uint64_t node, std::array<std::string_view, 5> parts,
                          size_t least, size_t most) {
    return ask_as(who_, opcode, node, parts, least, most);
  }
  Result<std::string> ask_as(const FuseWho& who, uint32_t opcode, uint64_t node,
                             std::array<std::string_view, 5> parts, size_t least, size_t most);
  Result<void> ask_nothing(uint32_t opcode, uint64_t node, std::array<std::string_view, 5> parts);
  /// Sends without waiting; the reply, where there is one, is dropped.
  void tell(uint32_t opcode, uint64_t node, std::array<std::string_view, 5> parts, bool answered);
  /// FUSE_FORGET or FUSE_BATCH_FORGET of all of them, of each when nothing is being done with it
  /// any more: the threads of a server take requests in any order, and libfuse ends when it is
  /// asked for what it was told to forget. In Linux a FUSE_RELEASE holds the inode. fs/fuse/file.c
  void forget(const std::vector<fuse_forget_one>& nodes);
  /// FUSE_NOTIFY_REPLY to FuseListener::retrieve(): nothing is kept here.
  void nothing_kept(uint64_t unique, uint64_t node, uint64_t offset);

  uint32_t minor() const { return minor_; }
  uint64_t flags() const { return flags_; }
  bool has(uint64_t flag) const { return (flags_ & flag) != 0; }
  /// The most of one FUSE_WRITE, of one FUSE_READ or FUSE_READDIR.
  uint32_t max_write() const { return max_write_; }
  uint32_t max_read() const { return max_read_; }
  const FuseOptions& options() const { return options_; }

  size_t entry_size() const;
  size_t attr_out_size() const;
  size_t attr_size() const;
  size_t mknod_in_size() const;
  size_t create_in_size() const;
  size_t write_in_size() const;
  size_t read_in_size() const;
  size_t getattr_in_size() const;

  /// An operation that the server answered with ENOSYS isn't asked for again. As in the kernel,
  /// what comes instead is the caller's choice.
  bool lacks(uint32_t opcode) const { return (lacks_ & bit(opcode)) != 0; }
  void set_lacks(uint32_t opcode) { lacks_ |= bit(opcode); }
  /// `result`, but for an operation that the server lacks: `instead`, now and later.
  template <typename T>
  Result<T> optional(uint32_t opcode, Result<T> result, Result<T> instead) {
    if (result.ok() || result.error() != ENOSYS) return result;
    set_lacks(opcode);
    return instead;
  }

 private:
  static uint64_t bit(uint32_t opcode) { return opcode < 64 ? 1ULL << opcode : 0; }
  Result<void> agree(std::string_view reply);
  Result<void> take_init();
  void forget_waiting();

  FuseChannel& channel_;
  FuseWait& wait_;
  FuseOptions options_;
  FuseWho who_;
  uint64_t replies_ = 0;                 ///< of the channel when to_forget_ was looked through
  uint64_t init_ = 0;                    ///< the request
  std::optional<Result<void>> started_;  ///< how it ended
  std::string init_reply_;
  uint32_t minor_ = 0;
  uint64_t flags_ = 0;
  uint32_t max_write_ = 4096;
  uint32_t max_read_ = 4096;
  uint64_t lacks_ = 0;
  std::vector<fuse_forget_one> to_forget_;  ///< when what was asked of them is answered
};

}  // namespace viewsh
