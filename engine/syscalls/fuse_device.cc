#include "syscalls/fuse_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "syscalls/borrow.h"
#include "syscalls/handlers.h"
#include "vfs/device_fs.h"

namespace viewsh {

namespace {

constexpr uint32_t kMajor = 10;
constexpr uint32_t kMinor = 229;

/// Room for the largest packet there is: 128 KiB of data and its headers. The kernel doubles it.
void enlarge(int socket) {
  const int size = 2 * ((128 << 10) + 4096);
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

std::optional<uint64_t> inode_of(const UniqueFd& socket) {
  struct stat st {};
  if (!socket || fstat(socket.get(), &st) < 0 || !S_ISSOCK(st.st_mode)) return std::nullopt;
  return st.st_ino;
}

bool is_closed(int socket) {
  pollfd poll = {.fd = socket, .events = POLLIN, .revents = 0};
  return ::poll(&poll, 1, 0) > 0 && (poll.revents & POLLHUP) != 0;
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_fuse_pair() {
  std::array<int, 2> ends{};
  TRY(from_libc(
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data())));
  for (const int end : ends) enlarge(end);
  return std::make_pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Attr FuseDevice::attr() const {
  Attr attr{};
  attr.stx_mask = STATX_BASIC_STATS;
  attr.stx_mode = S_IFCHR | 0666;
  attr.stx_nlink = 1;
  attr.stx_rdev_major = kMajor;
  attr.stx_rdev_minor = kMinor;
  return attr;
}

/// An address that the kernel chooses; who isn't this process is turned away (accept()).
Result<void> FuseDevice::listen() {
  if (listener_) return {};
  UniqueFd made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return Errno::last();
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  TRY(from_libc(bind(made.get(), reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t))));
  TRY(from_libc(::listen(made.get(), 16)));
  socklen_t size = sizeof name;
  TRY(from_libc(getsockname(made.get(), reinterpret_cast<sockaddr*>(&name), &size)));
  address_.assign(reinterpret_cast<const char*>(&name), size);
  listener_ = std::move(made);
  return {};
}

Result<void> FuseDevice::connect(const UniqueFd& socket) {
  const auto inode = inode_of(socket);
  if (!inode) return Errno(EINVAL);
  TRY(listen());
  forget_closed();
  enlarge(socket.get());
  TRY(from_libc(::connect(socket.get(), reinterpret_cast<const sockaddr*>(address_.data()),
                          static_cast<socklen_t>(address_.size()))));
  while (true) {
    UniqueFd ours(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!ours) return Errno::last();
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(ours.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return Errno::last();
    if (peer.pid != getpid()) continue;
    enlarge(ours.get());
    connections_[*inode] = {std::move(ours)};
    return {};
  }
}

/// Whoever opened it and closed it again.
void FuseDevice::forget_closed() {
  std::erase_if(connections_, [](const auto& one) { return is_closed(one.second.ours.get()); });
}

FuseDevice::Connection* FuseDevice::find(const UniqueFd& socket) {
  const auto inode = inode_of(socket);
  const auto it = inode ? connections_.find(*inode) : connections_.end();
  return it == connections_.end() ? nullptr : &it->second;
}

bool FuseDevice::knows(const UniqueFd& socket) const {
  const auto inode = inode_of(socket);
  return inode && connections_.contains(*inode);
}

bool FuseDevice::is_held(pid_t tid) const {
  if (connections_.empty()) return false;
  const std::string dir = "/proc/" + std::to_string(tid) + "/fd";
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(dir.c_str()), closedir);
  if (open == nullptr) return false;
  while (const dirent* entry = readdir(open.get())) {
    struct stat st {};
    const bool there = fstatat(dirfd(open.get()), entry->d_name, &st, 0) == 0;
    if (there && S_ISSOCK(st.st_mode) && connections_.contains(st.st_ino)) return true;
  }
  return false;
}

Result<UniqueFd> FuseDevice::take(const UniqueFd& socket) {
  Connection* connection = find(socket);
  if (connection == nullptr || connection->taken) return Errno(EINVAL);
  UniqueFd ours(fcntl(connection->ours.get(), F_DUPFD_CLOEXEC, 0));
  if (!ours) return Errno::last();
  connection->taken = true;
  return ours;
}

void FuseDevice::mounted(const UniqueFd& socket, const FileSystem& fs) {
  if (Connection* connection = find(socket)) connection->fs = &fs;
}

void FuseDevice::end(const FileSystem& fs) {
  for (auto& [inode, connection] : connections_) {
    if (connection.fs != &fs) continue;
    connection.fs = nullptr;
    connection.ended = true;
  }
}

void FuseDevice::end_given() {
  for (auto& [inode, connection] : connections_) {
    if (connection.taken && connection.fs == nullptr) connection.ended = true;
  }
}

bool FuseDevice::has_unconnected() {
  forget_closed();
  bool any = false;
  for (auto& [inode, connection] : connections_) {
    any = any || !connection.taken || connection.ended;
    if (!connection.ended) continue;
    // Late replies have no use, but who writes them isn't to wait.
    char byte = 0;
    while (recv(connection.ours.get(), &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0) {
    }
  }
  return any;
}

/// fuse_dev_do_read() of fs/fuse/dev.c
int FuseDevice::read_error(const std::string& link) const {
  struct stat st {};
  if (stat(link.c_str(), &st) < 0 || !S_ISSOCK(st.st_mode)) return 0;
  const auto it = connections_.find(st.st_ino);
  if (it == connections_.end()) return 0;
  if (!it->second.taken) return EPERM;
  return it->second.ended ? ENODEV : 0;
}

void FuseDevice::hang_up() {
  for (auto& [inode, connection] : connections_) {
    if (connection.ended) (void)shutdown(connection.ours.get(), SHUT_RDWR);
  }
}

namespace {

/// Who reads is told ENODEV where he waits (Tracer::end_wait()): so that he does, too, who
/// wouldn't.
void make_blocking(const Session& session, const FuseDevice& device) {
  for (const auto& [tid, task] : session.tasks) {
    const std::string dir = "/proc/" + std::to_string(tid) + "/fd";
    const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(dir.c_str()), closedir);
    while (const dirent* entry = open == nullptr ? nullptr : readdir(open.get())) {
      if (device.read_error(dir + "/" + entry->d_name) != ENODEV) continue;
      const Result<UniqueFd> fd = borrow_fd(*task, atoi(entry->d_name));
      const int flags = fd.ok() ? fcntl(fd->get(), F_GETFL) : -1;
      // One that goes just now needs it no more.
      if (flags >= 0) (void)fcntl(fd->get(), F_SETFL, flags & ~O_NONBLOCK);
    }
  }
}

}  // namespace

void fuse_ended(Session& session, const FileSystem& fs) {
  if (FuseDevice* device = fuse_device_of(session)) device->end(fs);
  fuse_tell(session);
}

void fuse_tell(Session& session) {
  FuseDevice* device = fuse_device_of(session);
  if (device == nullptr || !device->has_unconnected()) return;
  make_blocking(session, *device);
  if (session.server_left) session.server_left();
}

/// libfuse hands replies over by pages, which a socket would make other packets of, unless this
/// fails: then it writes them. fuse_send_data_iov() of libfuse
Outcome sys_vmsplice(Call& call) {
  bool& serves = call.task().mm->fuse_server;
  // It may have got the descriptor from fusermount(1).
  const FuseDevice* device = serves ? nullptr : fuse_device_of(call.session());
  if (device != nullptr) serves = device->is_held(call.task().tid);
  return serves ? Outcome::error(EINVAL) : Outcome::as_is();
}

FuseDevice* fuse_device_at(FileSystem& fs) {
  auto* device = dynamic_cast<DeviceFs*>(&fs);
  return device == nullptr ? nullptr : dynamic_cast<FuseDevice*>(&device->device());
}

FuseDevice* fuse_device_of(Session& session) {
  for (const auto& device : session.devices) {
    if (FuseDevice* fuse = fuse_device_at(*device)) return fuse;
  }
  return nullptr;
}

Outcome open_fuse(Call& call, FuseDevice& device, int flags) {
  uint64_t type = SOCK_SEQPACKET;
  if ((flags & O_CLOEXEC) != 0) type |= SOCK_CLOEXEC;
  if ((flags & O_NONBLOCK) != 0) type |= SOCK_NONBLOCK;
  call.task().mm->fuse_server = true;
  call.task().family->fuse_server = true;
  Outcome out = Outcome::rewritten().set(0, AF_UNIX).set(1, type).set(2, 0);
  out.nr = SYS_socket;
  out.then([&device, session = &call.session(), task = &call.task()](long fd) -> long {
    if (fd < 0) return fd;
    Result<UniqueFd> socket = borrow_fd(*task, static_cast<int>(fd));
    Result<void> connected = socket.ok() ? device.connect(*socket) : Result<void>(socket.error());
    if (session->server_left) session->server_left();
    // The descriptor stays, as one that can't be mounted, where that fails.
    return connected.ok() ? fd : -connected.error().value();
  });
  return out;
}

std::optional<Outcome> fuse_ioctl(Call& call, int fd, unsigned request, uint64_t argument) {
  FuseDevice* device = fuse_device_of(call.session());
  if (device == nullptr) return std::nullopt;
  Result<UniqueFd> socket = borrow_fd(call.task(), fd);
  if (!socket.ok() || !device->knows(*socket)) return std::nullopt;
  if (request != FUSE_DEV_IOC_CLONE) return Outcome::error(ENOTTY);
  Result<uint32_t> master = call.memory().get<uint32_t>(argument);
  if (!master.ok()) return Outcome::error(master.error());
  Result<UniqueFd> other = borrow_fd(call.task(), static_cast<int>(*master));
  if (!other.ok() || !device->knows(*other)) return Outcome::error(EINVAL);
  // Both are the same connection from now on.
  const int had = fcntl(socket->get(), F_GETFD);
  const bool keeps = had >= 0 && (had & FD_CLOEXEC) == 0;
  Outcome out = Outcome::rewritten().set(0, *master).set(1, static_cast<uint64_t>(fd));
  out = std::move(out).set(2, keeps ? 0 : O_CLOEXEC);
  out.nr = SYS_dup3;
  out.then([](long result) { return result < 0 ? result : 0; });
  return out;
}

}  // namespace viewsh
