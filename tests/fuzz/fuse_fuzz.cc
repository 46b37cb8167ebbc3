// Replies made of any bytes, to everything that FuseImage asks: it ends, and crashes nothing.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "bytes.h"
#include "fuse_bytes.h"
#include "fuse_image.h"
#include "fuzz.h"

namespace viewsh {
namespace {

/// Answers while a request waits, and hangs up when there are no bytes left.
class BytesServer final : public FuseWait {
 public:
  BytesServer(UniqueFd fd, Bytes* bytes) : fd_(std::move(fd)), bytes_(bytes) {}

  Result<void> wait(FuseChannel& channel, uint64_t unique) override {
    fuse_in_header header;
    std::string request(FuseChannel::kMaxPacket, '\0');
    const auto size = ::recv(fd_.get(), request.data(), request.size(), MSG_DONTWAIT);
    if (size >= static_cast<ssize_t>(sizeof header)) {
      std::memcpy(&header, request.data(), sizeof header);
      answer(header);
    } else if (++idle_ > kPatience) {
      idle_ = 0;
      return Errno(EINTR);
    }
    if (bytes_->over()) fd_.reset();
    channel.pump();
    (void)unique;
    return {};
  }

 private:
  static constexpr int kPatience = 3;

  /// The size that the reply should have, so that more than the first check is reached.
  static size_t right_size(uint32_t opcode) {
    switch (opcode) {
      case FUSE_LOOKUP:
      case FUSE_MKNOD:
      case FUSE_MKDIR:
      case FUSE_SYMLINK:
      case FUSE_LINK:
        return sizeof(fuse_entry_out);
      case FUSE_CREATE:
      case FUSE_TMPFILE:
        return sizeof(fuse_entry_out) + sizeof(fuse_open_out);
      case FUSE_GETATTR:
      case FUSE_SETATTR:
        return sizeof(fuse_attr_out);
      case FUSE_OPEN:
      case FUSE_OPENDIR:
        return sizeof(fuse_open_out);
      case FUSE_WRITE:
      case FUSE_LSEEK:
        return sizeof(fuse_write_out);
      case FUSE_STATFS:
        return sizeof(fuse_statfs_out);
      case FUSE_READ:
      case FUSE_READDIR:
      case FUSE_READDIRPLUS:
      case FUSE_READLINK:
      case FUSE_GETXATTR:
      case FUSE_LISTXATTR:
        return 200;
      default:
        return 0;
    }
  }

  std::string payload(const fuse_in_header& header) {
    if (header.opcode == FUSE_INIT && bytes_->one() % 16 != 0) {
      fuse_init_out out = {};
      out.major = FUSE_KERNEL_VERSION;
      out.minor = 8 + bytes_->one() % 40;
      out.flags = FUSE_BIG_WRITES | (bytes_->one() % 2 != 0 ? FUSE_DO_READDIRPLUS : 0);
      out.max_write = bytes_->one() * 1024u;
      return std::string(fuse_bytes(out));
    }
    std::string out = bytes_->some(right_size(header.opcode));
    out.resize(right_size(header.opcode), '\0');
    const bool entry = header.opcode == FUSE_LOOKUP || header.opcode == FUSE_MKNOD;
    // Often a node that can be.
    if (entry && bytes_->one() % 4 != 0) {
      fuse_entry_out good = {};
      good.nodeid = 2 + bytes_->one() % 5;
      constexpr mode_t kTypes[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO};
      good.attr.mode = kTypes[bytes_->one() % 4] | 0644;
      good.attr.size = bytes_->one() * 100u;
      good.entry_valid = bytes_->one() % 2;
      out = std::string(fuse_bytes(good));
    }
    return out;
  }

  void answer(const fuse_in_header& header) {
    const uint8_t kind = bytes_->one();
    if (kind < 10) return;
    fuse_out_header out = {};
    out.unique = header.unique;
    std::string body;
    if (kind < 40) {
      out.error = -static_cast<int>(bytes_->one());
    } else if (kind < 60) {
      body = bytes_->some(kind);
      const uint8_t other = bytes_->one();
      if (other < 100) out.unique = other;
      if (other > 240) out.error = static_cast<int32_t>(other << (other % 24));
    } else {
      body = payload(header);
    }
    out.len = static_cast<uint32_t>(sizeof out + body.size());
    if (kind % 32 == 31) out.len += bytes_->one();
    send(std::string(fuse_bytes(out)) + body);
    if (kind % 16 == 15) send(bytes_->some(bytes_->one()));
  }
  void send(const std::string& packet) {
    (void)::send(fd_.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  UniqueFd fd_;
  Bytes* bytes_;
  int idle_ = 0;
};

void use(FuseImage& image, NodeId node, Bytes* bytes) {
  std::string buffer(300, 'x');
  const UniqueFd file(::memfd_create("extracted", MFD_CLOEXEC));
  SetAttr set;
  set.size = 10;
  set.mtime = timespec{0, UTIME_NOW};
  const WritableImage::NewNode made = {S_IFREG | 0644, 1, 1, 0};
  const std::string name(1, static_cast<char>('a' + bytes->one() % 4));
  switch (bytes->one() % 16) {
    case 0:
      return (void)image.getattr(node);
    case 1:
      return (void)image.list(node);
    case 2:
      return (void)image.readlink(node);
    case 3:
      return (void)image.extract(node, file.get());
    case 4:
      return (void)image.listxattr(node);
    case 5:
      return (void)image.getxattr(node, "user.x");
    case 6:
      return (void)image.statfs();
    case 7:
      return (void)image.mknod(node, name, made);
    case 8:
      return (void)image.unlink(node, name);
    case 9:
      return (void)image.rename(FUSE_ROOT_ID, name, node, "b", bytes->one() % 3);
    case 10:
      return (void)image.hold(node);
    case 11:
      return (void)image.release(node);
    case 12:
      return (void)image.setattr(node, set);
    case 13:
      return (void)image.pread(node, buffer.data(), buffer.size(), bytes->one());
    case 14:
      return (void)image.pwrite(node, buffer.data(), buffer.size(), bytes->one());
    default:
      return (void)image.sync();
  }
}

}  // namespace

void fuse_fuzz_one(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  auto pair = FuseChannel::make_pair();
  if (!pair) return;
  FuseOptions options;
  options.max_unknown = 1 << 16;
  FuseImage image(std::move(pair->first),
                  std::make_unique<BytesServer>(std::move(pair->second), &bytes), options);
  while (!bytes.over()) {
    const std::string name(1, static_cast<char>('a' + bytes.one() % 4));
    const auto found = image.lookup(FUSE_ROOT_ID, name);
    use(image, found ? *found : 1 + bytes.one() % 6, &bytes);
    if (bytes.one() % 16 == 0) image.forget(1 + bytes.one() % 6);
  }
  (void)image.close();
}

}  // namespace viewsh
