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
    // What is left of the packet goes with it: recv(2), SOCK_SEQPACKET.
    const auto size = ::recv(fd_.get(), &header, sizeof header, MSG_DONTWAIT);
    if (size == static_cast<ssize_t>(sizeof header)) {
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
    // Often one that can be.
    if (bytes_->one() % 4 != 0) {
      std::string good = good_payload(header);
      if (!good.empty()) return good;
    }
    std::string out = bytes_->some(right_size(header.opcode));
    out.resize(right_size(header.opcode), '\0');
    return out;
  }

  fuse_entry_out good_entry() {
    fuse_entry_out good = {};
    good.nodeid = 2 + bytes_->one() % 5;
    good.attr = good_attr(good.nodeid);
    good.entry_valid = bytes_->one() % 2;
    good.attr_valid = good.entry_valid;
    return good;
  }

  std::string entry() {
    const fuse_entry_out good = good_entry();
    return std::string(fuse_bytes(good));
  }

  /// The type is one by which a node keeps what it was, mostly.
  fuse_attr good_attr(uint64_t node) {
    constexpr mode_t kTypes[] = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO};
    fuse_attr attr = {};
    const uint8_t more = bytes_->one();
    attr.ino = node;
    attr.mode = (node == FUSE_ROOT_ID ? S_IFDIR : kTypes[(node + more / 252) % 4]) | 0644;
    attr.size = more * 100u;
    attr.nlink = 1 + more % 2;
    attr.mtime = more % 4;
    return attr;
  }

  /// Names as FUSE_READDIR has them, and FUSE_READDIRPLUS.
  std::string good_listing(bool plus) {
    std::string out;
    for (int left = bytes_->one() % 4; left > 0; --left) {
      const std::string name(1 + bytes_->one() % 9, static_cast<char>('a' + bytes_->one() % 4));
      const fuse_entry_out node = good_entry();
      if (plus) out += fuse_bytes(node);
      fuse_dirent entry = {};
      entry.ino = 2 + bytes_->one() % 5;
      entry.off = bytes_->one();
      entry.namelen = static_cast<uint32_t>(name.size());
      entry.type = bytes_->one() % 16;
      out += std::string(fuse_bytes(entry)).substr(0, offsetof(fuse_dirent, name)) + name;
      out.resize(FUSE_DIRENT_ALIGN(out.size()), '\0');
    }
    return out;
  }

  /// Empty: nothing better than any bytes is known.
  std::string good_payload(const fuse_in_header& header) {
    std::string out;
    switch (header.opcode) {
      case FUSE_LOOKUP:
      case FUSE_MKNOD:
      case FUSE_MKDIR:
      case FUSE_SYMLINK:
      case FUSE_LINK:
        return entry();
      case FUSE_CREATE:
      case FUSE_TMPFILE:
        out = entry();
        [[fallthrough]];
      case FUSE_OPEN:
      case FUSE_OPENDIR: {
        fuse_open_out open = {};
        open.fh = bytes_->one();
        open.open_flags = bytes_->one();
        return out + std::string(fuse_bytes(open));
      }
      case FUSE_GETATTR:
      case FUSE_SETATTR: {
        fuse_attr_out attr = {};
        attr.attr = good_attr(header.nodeid);
        attr.attr_valid = bytes_->one() % 2;
        return std::string(fuse_bytes(attr));
      }
      case FUSE_WRITE: {
        fuse_write_out written = {};
        written.size = bytes_->one();
        return std::string(fuse_bytes(written));
      }
      case FUSE_READDIR:
      case FUSE_READDIRPLUS:
        return good_listing(header.opcode == FUSE_READDIRPLUS);
      case FUSE_LISTXATTR:
        return std::string("user.x\0user.y\0", 14).substr(0, bytes_->one() % 15);
      default:
        return out;
    }
  }

  /// What a server says without being asked. fs/fuse/dev.c, fuse_notify()
  void notify() {
    fuse_out_header out = {};
    out.error = bytes_->one() % 9;
    const std::string name(1, static_cast<char>('a' + bytes_->one() % 4));
    std::string body;
    if (out.error == FUSE_NOTIFY_INVAL_INODE) {
      const fuse_notify_inval_inode_out inode = {1u + bytes_->one() % 6, bytes_->one() - 10, -1};
      body = fuse_bytes(inode);
    } else if (out.error == FUSE_NOTIFY_INVAL_ENTRY) {
      const fuse_notify_inval_entry_out entry = {1u + bytes_->one() % 6, 1, bytes_->one() % 2u};
      body = std::string(fuse_bytes(entry)) + name + '\0';
    } else if (out.error == FUSE_NOTIFY_DELETE) {
      const fuse_notify_delete_out gone = {1u + bytes_->one() % 6, 2u + bytes_->one() % 5, 1, 0};
      body = std::string(fuse_bytes(gone)) + name + '\0';
    } else if (out.error == FUSE_NOTIFY_STORE) {
      const std::string data = bytes_->some(bytes_->one());
      const fuse_notify_store_out store = {1u + bytes_->one() % 6, bytes_->one() * 1000u,
                                           static_cast<uint32_t>(data.size()), 0};
      body = std::string(fuse_bytes(store)) + data;
    } else if (out.error == FUSE_NOTIFY_RETRIEVE) {
      const fuse_notify_retrieve_out retrieve = {bytes_->one(), 1u + bytes_->one() % 6,
                                                 bytes_->one() * 1000u, bytes_->one() * 1000u, 0};
      body = fuse_bytes(retrieve);
    } else {
      body = bytes_->some(bytes_->one() % 64);
    }
    out.len = static_cast<uint32_t>(sizeof out + body.size());
    send(std::string(fuse_bytes(out)) + body);
  }

  void answer(const fuse_in_header& header) {
    const uint8_t kind = bytes_->one();
    if (kind < 10) return;
    if (kind >= 60 && kind % 8 == 0) notify();
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
  switch (bytes->one() % 30) {
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
    case 15:
      return (void)image.mkdir(node, name, made);
    case 16:
      return (void)image.symlink(node, name, "target", made);
    case 17:
      return (void)image.link(node, FUSE_ROOT_ID, name);
    case 18:
      return (void)image.rmdir(node, name);
    case 19:
      return (void)image.setxattr(node, "user.x", buffer, 0);
    case 20:
      return (void)image.removexattr(node, "user.x");
    case 21:
      return (void)image.fallocate(node, 0, bytes->one(), bytes->one());
    case 22:
      if (const auto nameless = image.make_nameless(node, made)) (void)image.release(*nameless);
      return;
    case 23:
      return (void)image.opens(node, bytes->one() % 3);
    case 24:
      (void)image.flush(node);
      return image.closed(node);
    case 25:
      return (void)image.access(node, bytes->one() % 8);
    case 26:
      return (void)image.seek(node, bytes->one(), bytes->one() % 2 == 0 ? SEEK_DATA : SEEK_HOLE);
    case 27:
      return image.forget_but(bytes->one() % 3);
    case 28:
      return (void)image.content_changed(node);
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
