// AF_UNIX sockets: names up to the last byte, and addresses that come back as they were given.

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "support.h"

namespace viewsh_test {
namespace {

class Socket : public SyscallTest {
 protected:
  static Fd make(int type = SOCK_STREAM) { return Fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0)); }
  /// An address of `path`; without its NUL if that does not fit.
  static socklen_t address(const std::string& path, sockaddr_un* out) {
    *out = {};
    out->sun_family = AF_UNIX;
    std::memcpy(out->sun_path, path.data(), std::min(path.size(), sizeof(out->sun_path)));
    size_t length = offsetof(sockaddr_un, sun_path) + path.size();
    if (path.size() < sizeof(out->sun_path)) ++length;
    return static_cast<socklen_t>(length);
  }
  static long bind(const Fd& fd, const std::string& path) {
    sockaddr_un name;
    socklen_t length = address(path, &name);
    return sys(SYS_bind, fd.get(), &name, length);
  }
  static long connect(const Fd& fd, const std::string& path) {
    sockaddr_un name;
    socklen_t length = address(path, &name);
    return sys(SYS_connect, fd.get(), &name, length);
  }
  /// What getsockname or getpeername says, with the length that it gave.
  static std::string name_of(long call, const Fd& fd) {
    Guarded<sockaddr_un> name;
    socklen_t length = sizeof(sockaddr_un);
    long result = sys(call, fd.get(), &name, &length);
    EXPECT_EQ(result, 0);
    EXPECT_TRUE(name.intact());
    EXPECT_EQ(name->sun_family, AF_UNIX);
    size_t size = length - offsetof(sockaddr_un, sun_path);
    return std::string(name->sun_path, ::strnlen(name->sun_path, std::min(size, size_t{108})));
  }
};

TEST_F(Socket, BindConnectTalk) {
  Fd server = make();
  ASSERT_EQ(bind(server, "sock"), 0);
  ASSERT_EQ(::listen(server.get(), 4), 0);
  EXPECT_TRUE(S_ISSOCK(lstat_of("sock").st_mode));
  EXPECT_EQ(name_of(SYS_getsockname, server), "sock");
  Fd client = make();
  ASSERT_EQ(connect(client, "sock"), 0);
  Fd accepted(::accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(name_of(SYS_getpeername, client), "sock");
  EXPECT_EQ(name_of(SYS_getsockname, accepted), "sock");
  EXPECT_EQ(::write(client.get(), "hello", 5), 5);
  std::array<char, 6> text = {};
  EXPECT_EQ(::read(accepted.get(), text.data(), 5), 5);
  EXPECT_STREQ(text.data(), "hello");
}

TEST_F(Socket, AbsoluteNames) {
  Fd server = make();
  ASSERT_LT(at("s").size(), 108U) << "TMPDIR is too deep for this test";
  ASSERT_EQ(bind(server, at("s")), 0);
  ASSERT_EQ(::listen(server.get(), 4), 0);
  EXPECT_EQ(name_of(SYS_getsockname, server), at("s"));
  Fd client = make();
  EXPECT_EQ(connect(client, at("s")), 0);
  EXPECT_EQ(name_of(SYS_getpeername, client), at("s"));
  Fd relative = make();
  EXPECT_EQ(connect(relative, "s"), 0);
}

TEST_F(Socket, LongestName) {
  std::string base = dir() + "/";
  ASSERT_LT(base.size(), 100U) << "TMPDIR is too deep for this test";
  for (size_t length : {size_t{106}, size_t{107}, size_t{108}}) {
    std::string path = base + std::string(length - base.size(), 'x');
    Fd server = make();
    ASSERT_EQ(bind(server, path), 0) << length;
    ASSERT_EQ(::listen(server.get(), 4), 0);
    EXPECT_TRUE(exists(path)) << length;
    EXPECT_EQ(name_of(SYS_getsockname, server), path);
    Fd client = make();
    EXPECT_EQ(connect(client, path), 0) << length;
    EXPECT_EQ(name_of(SYS_getpeername, client), path);
    ASSERT_EQ(::unlink(path.c_str()), 0);
  }
  std::string relative(108, 'r');
  Fd server = make();
  EXPECT_EQ(bind(server, relative), 0);
  EXPECT_TRUE(exists(relative));
}

TEST_F(Socket, LengthSaysHowMuchCounts) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memset(name.sun_path, 'y', sizeof(name.sun_path));
  Fd server = make();
  // No NUL: the length ends the name.
  ASSERT_EQ(sys(SYS_bind, server.get(), &name, offsetof(sockaddr_un, sun_path) + 3), 0);
  EXPECT_TRUE(exists("yyy"));
  EXPECT_EQ(names_in("."), std::vector<std::string>{"yyy"});
  Fd other = make();
  EXPECT_EQ(sys(SYS_bind, other.get(), &name, sizeof(name) + 1), -EINVAL);
  socklen_t length = 4;
  std::array<char, 8> part;
  part.fill('z');
  EXPECT_EQ(sys(SYS_getsockname, server.get(), part.data(), &length), 0);
  EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + 4);  // the true length
  EXPECT_EQ(part[2], 'y');
  EXPECT_EQ(part[3], 'y');
  EXPECT_EQ(part[4], 'z');
}

TEST_F(Socket, Errors) {
  write_file("f", "");
  Fd server = make();
  EXPECT_EQ(bind(server, "none/sock"), -ENOENT);
  EXPECT_EQ(bind(server, "f"), -EADDRINUSE);
  EXPECT_EQ(bind(server, "f/sock"), -ENOTDIR);
  ASSERT_EQ(bind(server, "sock"), 0);
  EXPECT_EQ(bind(server, "second"), -EINVAL);
  Fd client = make();
  EXPECT_EQ(connect(client, "none"), -ENOENT);
  EXPECT_EQ(connect(client, "f"), -ECONNREFUSED);
  EXPECT_EQ(connect(client, "sock"), -ECONNREFUSED);  // nobody listens
  Fd datagram = make(SOCK_DGRAM);
  EXPECT_EQ(connect(datagram, "sock"), -EPROTOTYPE);
  ASSERT_EQ(::symlink("sock", "link"), 0);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  EXPECT_EQ(connect(client, "link"), 0);
  ASSERT_EQ(::symlink("nowhere", "dangling"), 0);
  Fd other = make();
  EXPECT_EQ(bind(other, "dangling"), -EADDRINUSE);
}

TEST_F(Socket, Datagrams) {
  Fd receiver = make(SOCK_DGRAM);
  Fd sender = make(SOCK_DGRAM);
  ASSERT_EQ(bind(receiver, "to"), 0);
  ASSERT_EQ(bind(sender, "from"), 0);
  sockaddr_un name;
  socklen_t length = address("to", &name);
  EXPECT_EQ(sys(SYS_sendto, sender.get(), "one", 3, 0, &name, length), 3);
  iovec data = {const_cast<char*>("two"), 3};
  msghdr message = {};
  message.msg_name = &name;
  message.msg_namelen = length;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  EXPECT_EQ(sys(SYS_sendmsg, sender.get(), &message, 0), 3);
  EXPECT_EQ(message.msg_namelen, length);
  std::array<mmsghdr, 2> several = {};
  several[0].msg_hdr = message;
  several[1].msg_hdr = message;
  // It may send fewer than all, and is to be called again for the rest. sendmmsg(2)
  long sent = sys(SYS_sendmmsg, sender.get(), several.data(), 2, 0);
  if (sent == 1) sent += sys(SYS_sendmmsg, sender.get(), &several[1], 1, 0);
  ASSERT_EQ(sent, 2);
  for (const char* expected : {"one", "two", "two", "two"}) {
    std::array<char, 8> text = {};
    sockaddr_un source = {};
    socklen_t source_length = sizeof(source);
    ASSERT_EQ(sys(SYS_recvfrom, receiver.get(), text.data(), 7, 0, &source, &source_length), 3);
    EXPECT_STREQ(text.data(), expected);
    EXPECT_STREQ(source.sun_path, "from");
  }
  ASSERT_EQ(::unlink("to"), 0);
  EXPECT_EQ(sys(SYS_sendto, sender.get(), "x", 1, 0, &name, length), -ENOENT);
}

TEST_F(Socket, AbstractNamesAreNoFiles) {
  Fd server = make();
  std::string unique = std::string(1, '\0') + dir();
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, unique.data(), std::min(unique.size(), sizeof(name.sun_path)));
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + unique.size());
  ASSERT_EQ(sys(SYS_bind, server.get(), &name, length), 0);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  Fd client = make();
  EXPECT_EQ(sys(SYS_connect, client.get(), &name, length), 0);
  EXPECT_EQ(names_in("."), std::vector<std::string>{});
}

TEST_F(Socket, PeersNameIsTheOnesTheyGave) {
  Fd server = make();
  ASSERT_EQ(bind(server, "server"), 0);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  Fd client = make();
  ASSERT_EQ(bind(client, "./client"), 0);
  ASSERT_EQ(connect(client, "./server"), 0);
  sockaddr_un peer = {};
  socklen_t length = sizeof(peer);
  Fd accepted(sys(SYS_accept, server.get(), &peer, &length));
  ASSERT_TRUE(accepted.ok());
  EXPECT_STREQ(peer.sun_path, "./client");
  EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + 9);
  EXPECT_EQ(name_of(SYS_getpeername, client), "server");
}

TEST_F(Socket, BetweenProcesses) {
  Fd server = make();
  ASSERT_EQ(bind(server, "sock"), 0);
  ASSERT_EQ(::listen(server.get(), 16), 0);
  for (int i = 0; i < 5; ++i) {
    pid_t pid = ::fork();
    if (pid == 0) {
      Fd client = make();
      if (connect(client, at("sock")) != 0) ::_exit(1);
      ::_exit(::write(client.get(), "x", 1) == 1 ? 0 : 2);
    }
    Fd accepted(::accept(server.get(), nullptr, nullptr));
    char c = 0;
    EXPECT_EQ(::read(accepted.get(), &c, 1), 1);
    int status = -1;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(exited_with(status, 0));
  }
}

TEST_F(Socket, PermissionsOfTheName) {
  ::umask(077);
  Fd server = make();
  ASSERT_EQ(bind(server, "sock"), 0);
  EXPECT_EQ(lstat_of("sock").st_mode, S_IFSOCK | 0700U);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  ASSERT_EQ(::chmod("sock", 0), 0);
  if (::geteuid() != 0) {
    Fd client = make();
    EXPECT_EQ(connect(client, "sock"), -EACCES);
  }
  ::umask(022);
}

}  // namespace
}  // namespace viewsh_test
