#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "base/path.h"
#include "syscalls/borrow.h"
#include "syscalls/handlers.h"

namespace viewsh {

namespace {

constexpr size_t kPathAt = offsetof(sockaddr_un, sun_path);
constexpr size_t kPathSize = sizeof(sockaddr_un::sun_path);

/// The path of an AF_UNIX address; empty for everything else (also abstract and unnamed ones).
Result<std::string> unix_path(Call& call, uint64_t address, unsigned length) {
  if (address == 0 || length <= kPathAt || length > sizeof(sockaddr_un)) return std::string();
  sockaddr_un name{};
  TRY(call.memory().read(address, &name, length));
  if (name.sun_family != AF_UNIX || name.sun_path[0] == '\0') return std::string();
  return std::string(name.sun_path, strnlen(name.sun_path, length - kPathAt));
}

/// A link in a private directory that stands for a host path too long for an address.
Result<std::string> short_link(Session& session, const std::string& host) {
  std::string link = session.socket_dir + "/" + std::to_string(session.next_socket++);
  TRY(from_libc(symlink(host.c_str(), link.c_str())));
  return link;
}

/// A name of at most 107 bytes that leads to an existing socket.
Result<std::string> short_name(Session& session, const std::string& host) {
  if (host.size() < kPathSize) return host;
  return short_link(session, host);
}

/// Where a socket is to be bound: `name` fits an address; where `made` isn't empty, the socket gets
/// its own name from there by rename(2) afterwards.
struct BindName {
  std::string name;
  std::string made;
};

Result<BindName> name_to_bind(Session& session, const std::string& host) {
  if (host.size() < kPathSize) return BindName{host, ""};
  TRY_ASSIGN(std::string dir, short_link(session, parent_path(host)));
  std::string name = join_path(dir, base_name(host));
  if (name.size() < kPathSize) return BindName{name, ""};
  name = join_path(dir, ".viewsh" + std::to_string(session.engine_pid));
  return BindName{name, name};
}

std::string pack(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  memcpy(name.sun_path, path.data(), std::min(path.size(), kPathSize));
  // A name that fills the whole structure has its NUL behind it. unix(7)
  std::string bytes(reinterpret_cast<const char*>(&name), sizeof name);
  bytes.resize(kPathAt + path.size() + 1);
  return bytes;
}

/// The host name of a socket that is to be reached; nullopt: the address needs no change.
Result<std::optional<std::string>> reach(Call& call, uint64_t address, unsigned length) {
  TRY_ASSIGN(std::string path, unix_path(call, address, length));
  if (path.empty()) return std::optional<std::string>();
  WalkFlags flags;
  flags.want_exists = true;
  TRY_ASSIGN(Walked walked, call.walk({AT_FDCWD}, {path, 0}, flags));
  if (walked.found.kind == Found::Kind::kMissing) return Errno(ENOENT);
  if (walked.identity) return std::optional<std::string>();
  if (walked.found.deferred) return Errno(ECONNREFUSED);  // not a socket. unix(7)
  TRY_ASSIGN(std::string name, short_name(call.session(), walked.found.host));
  return std::optional<std::string>(std::move(name));
}

}  // namespace

Outcome sys_connect(Call& call, Fd, Addr<char> address, unsigned length) {
  Result<std::optional<std::string>> name = reach(call, address.value, length);
  if (!name.ok()) return Outcome::error(name.error());
  if (!*name) return Outcome::as_is();
  Outcome out = Outcome::rewritten();
  std::string packed = pack(**name);
  out.arguments[2] = packed.size();
  out.texts.push_back({1, std::move(packed)});
  return out;
}

Outcome sys_sendto(Call& call, Fd, Addr<char>, size_t, Flags, Addr<char> address, unsigned length) {
  if (!address) return Outcome::as_is();
  Result<std::optional<std::string>> name = reach(call, address.value, length);
  if (!name.ok()) return Outcome::error(name.error());
  if (!*name) return Outcome::as_is();
  Outcome out = Outcome::rewritten();
  std::string packed = pack(**name);
  out.arguments[5] = packed.size();
  out.texts.push_back({4, std::move(packed)});
  return out;
}

Outcome sys_sendmmsg(Call& call, Fd fd, Addr<char> vector, unsigned count, Flags flags) {
  // All as they are, or the first one alone: the program is told that one was sent, and goes on.
  for (unsigned i = 0; i < count && i < 1024; ++i) {
    Outcome one = sys_sendmsg(call, fd, {vector.value + i * sizeof(mmsghdr)}, flags);
    if (one.kind == Outcome::Kind::kRunAsIs) continue;
    if (i > 0) return Outcome::rewritten().set(2, i);
    if (one.kind != Outcome::Kind::kRewritten) return one;
    one.nr = 46;  // SYS_sendmsg
    one.arguments[2] = static_cast<uint64_t>(static_cast<unsigned>(flags));
    one.then([tid = call.task().tid, vector](long result) {
      if (result < 0) return result;
      ProcessMemory memory(tid);
      bool put = memory.put(vector.value + sizeof(msghdr), static_cast<unsigned>(result)).ok();
      return put ? 1L : static_cast<long>(-EFAULT);
    });
    return one;
  }
  return Outcome::as_is();
}

Outcome sys_sendmsg(Call& call, Fd, Addr<char> message, Flags) {
  Result<msghdr> header = call.memory().get<msghdr>(message.value);
  if (!header.ok() || header->msg_name == nullptr) return Outcome::as_is();
  auto address = reinterpret_cast<uint64_t>(header->msg_name);
  Result<std::optional<std::string>> name = reach(call, address, header->msg_namelen);
  if (!name.ok()) return Outcome::error(name.error());
  if (!*name) return Outcome::as_is();
  std::string packed = pack(**name);
  header->msg_namelen = static_cast<socklen_t>(packed.size());
  Outcome out = Outcome::rewritten();
  // The header's copy points to the name that is placed behind it.
  std::string bytes(reinterpret_cast<const char*>(&*header), sizeof *header);
  out.texts.push_back({1, bytes + packed, {{offsetof(msghdr, msg_name), sizeof(msghdr)}}});
  return out;
}

Outcome sys_bind(Call& call, Fd, Addr<char> address, unsigned length) {
  Result<std::string> path = unix_path(call, address.value, length);
  if (!path.ok()) return Outcome::error(path.error());
  if (path->empty()) return Outcome::as_is();
  WalkFlags flags;
  flags.follow = false;
  flags.want_exists = true;
  Result<Walked> walked = call.walk({AT_FDCWD}, {*path, 0}, flags);
  if (!walked.ok()) return Outcome::error(walked.error());
  if (walked->found.kind != Found::Kind::kMissing) return Outcome::error(EADDRINUSE);
  OpenPlan plan{walked->found.host, 0, 0777, false};
  if (!walked->native()) {
    OpenHow how{O_CREAT | O_EXCL | O_RDWR, 0777, NodeType::kSocket};
    Result<OpenPlan> planned = walked->fs_mutable().plan_open(walked->path, how, call.caller());
    if (!planned.ok()) return Outcome::error(planned.error());
    plan = *planned;
  } else if (walked->identity) {
    return Outcome::as_is();
  }
  Result<BindName> name = name_to_bind(call.session(), plan.host);
  if (!name.ok()) return Outcome::error(name.error());
  call.session().socket_names[name->name] = *path;
  Outcome out = Outcome::rewritten();
  std::string packed = pack(name->name);
  out.arguments[2] = packed.size();
  out.texts.push_back({1, std::move(packed)});
  out.changes_host = true;
  if (plan.notify || !name->made.empty()) {
    out.then([mount = walked->mount, inner = walked->path, plan, made = name->made](long result) {
      if (result == 0 && !made.empty() && rename(made.c_str(), plan.host.c_str()) < 0)
        result = -errno;
      if (plan.notify) mount->fs->opened(inner, plan, result == 0);
      return result;
    });
  }
  return out;
}

namespace {

/// A socket's name as the program gave it, where the kernel has another one from us. `there`: how
/// much of the kernel's address stands in `name`; a cut one tells nothing.
std::optional<std::string> given_name(Session& session, const sockaddr_un& name, size_t there,
                                      socklen_t used) {
  bool whole = used > kPathAt && used <= sizeof(sockaddr_un) && there >= used;
  if (!whole || name.sun_family != AF_UNIX) return std::nullopt;
  auto shown =
      session.socket_names.find(std::string(name.sun_path, strnlen(name.sun_path, used - kPathAt)));
  if (shown == session.socket_names.end()) return std::nullopt;
  return pack(shown->second);
}

/// Writes an address as the kernel does: cut to the room that there is, with its full length.
Result<void> put_name(const TraceeMemory& memory, uint64_t address, uint64_t length,
                      const std::string& name) {
  TRY_ASSIGN(unsigned room, memory.get<unsigned>(length));
  TRY(memory.write(address, name.data(), std::min<size_t>(name.size(), room)));
  return memory.put(length, static_cast<unsigned>(name.size()));
}

using AskName = int (*)(int, sockaddr*, socklen_t*);

/// The name of a socket of a task, asked in the engine; nullopt: the kernel's own answer is right.
std::optional<std::string> ask_name(Session& session, const Task& task, int fd, AskName ask) {
  Result<UniqueFd> same = borrow_fd(task, fd);
  if (!same.ok()) return std::nullopt;
  sockaddr_un name{};
  socklen_t used = sizeof name;
  if (ask(same->get(), reinterpret_cast<sockaddr*>(&name), &used) < 0) return std::nullopt;
  return given_name(session, name, used, used);
}

int ask_own(int fd, sockaddr* name, socklen_t* size) { return getsockname(fd, name, size); }
int ask_peer(int fd, sockaddr* name, socklen_t* size) { return getpeername(fd, name, size); }

Outcome show_name(Call& call, int fd, uint64_t address, uint64_t length, AskName ask) {
  if (call.session().socket_names.empty()) return Outcome::as_is();
  std::optional<std::string> name = ask_name(call.session(), call.task(), fd, ask);
  if (!name) return Outcome::as_is();
  return Outcome::of(put_name(call.memory(), address, length, *name));
}

}  // namespace

Outcome sys_getsockname(Call& call, Fd fd, Addr<char> address, Addr<unsigned> length) {
  return show_name(call, fd.value, address.value, length.value, ask_own);
}

Outcome sys_getpeername(Call& call, Fd fd, Addr<char> address, Addr<unsigned> length) {
  return show_name(call, fd.value, address.value, length.value, ask_peer);
}

Outcome sys_accept(Call& call, Fd, Addr<char> address, Addr<unsigned> length) {
  Session* session = &call.session();
  if (session->socket_names.empty() || !address) return Outcome::as_is();
  Result<unsigned> room = call.memory().get<unsigned>(length.value);
  if (!room.ok()) return Outcome::as_is();
  Outcome out;
  Task* task = &call.task();
  out.then([=, room = *room](long result) {
    if (result < 0) return result;
    std::optional<std::string> name = ask_name(*session, *task, static_cast<int>(result), ask_peer);
    ProcessMemory memory(task->tid);
    // The kernel has put its own length where the room stood.
    if (name && memory.put(length.value, room).ok()) {
      (void)put_name(memory, address.value, length.value, *name).ok();
    }
    return result;
  });
  return out;
}

Outcome sys_recvfrom(Call& call, Fd, Addr<char>, size_t, Flags, Addr<char> address,
                     Addr<unsigned> length) {
  Session* session = &call.session();
  if (session->socket_names.empty() || !address) return Outcome::as_is();
  Result<unsigned> room = call.memory().get<unsigned>(length.value);
  if (!room.ok()) return Outcome::as_is();
  Outcome out;
  pid_t tid = call.task().tid;
  out.then([=, room = *room](long result) {
    if (result < 0) return result;
    ProcessMemory memory(tid);
    Result<unsigned> used = memory.get<unsigned>(length.value);
    sockaddr_un name{};
    size_t there = used.ok() ? std::min<size_t>({*used, room, sizeof name}) : 0;
    if (there == 0 || !memory.read(address.value, &name, there).ok()) return result;
    std::optional<std::string> given = given_name(*session, name, there, *used);
    if (given && memory.put(length.value, room).ok()) {
      (void)put_name(memory, address.value, length.value, *given).ok();
    }
    return result;
  });
  return out;
}

}  // namespace viewsh
