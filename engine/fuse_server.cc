#include "fuse_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <sstream>

#include "base/path.h"
#include "server_view.h"

namespace viewsh {

namespace {

constexpr int kToldMs = 1500;    ///< for a server that was told that its mount is gone
constexpr int kMomentMs = 3000;  ///< for a server to end by itself, and again when it is told to
constexpr size_t kMostText = 16 << 10;

std::string program_of(const MountSpec& spec) { return spec.type.substr(5); }

/// As mount(8) would look: where root's programs are, too.
std::string find_program(const std::string& name) {
  const char* path = getenv("PATH");
  std::istringstream places(std::string(path == nullptr ? "" : path) + ":/usr/sbin:/sbin");
  for (std::string dir; std::getline(places, dir, ':');) {
    std::string file = join_path(dir.empty() ? "." : dir, name);
    struct stat st {};
    if (stat(file.c_str(), &st) == 0 && S_ISREG(st.st_mode) && access(file.c_str(), X_OK) == 0)
      return file;
  }
  return "";
}

std::string real_path(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  return realpath(path.c_str(), real.data()) == nullptr ? path : real.data();
}

/// May the mount point be a directory of the server's own? Not where that would cover what it
/// needs.
bool needs_what_is_at(const MountSpec& spec) {
  const std::string at = real_path(spec.at);
  if (is_at_or_below(real_path("."), at)) return true;
  return !spec.sources.empty() && is_at_or_below(real_path(spec.sources[0]), at);
}

std::string joined(const std::map<std::string, std::string>& options) {
  std::string out;
  for (const auto& [key, value] : options) {
    if (!out.empty()) out += ',';
    out += value.empty() ? key : key + "=" + value;
  }
  return out;
}

/// Room for the descriptors of a message: the connection and, where there is one, the second.
constexpr size_t kMostFds = 2;
using FdRoom = std::array<char, CMSG_SPACE(kMostFds * sizeof(int))>;

/// The texts one after the other, each with its zero; the descriptors go with them.
Result<void> hand_over(int control, const FuseConnection& mounted, bool shows) {
  std::string text = mounted.source + '\0' + mounted.options + '\0';
  if (text.size() > kMostText) return Errno(ENAMETOOLONG);
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) FdRoom room{};
  const std::array<int, kMostFds> fds{mounted.fd, mounted.other};
  const size_t size = (shows ? 2 : 1) * sizeof(int);
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(header), fds.data(), size);
  return from_libc(static_cast<int>(sendmsg(control, &message, MSG_NOSIGNAL)));
}

std::string why_ended(const std::string& program, int status) {
  if (WIFSIGNALED(status))
    return program + " was ended by signal " + std::to_string(WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  // Which is what the view's engine says of a signal.
  if (code > 128) return program + " was ended by signal " + std::to_string(code - 128);
  return program + " ended with exit status " + std::to_string(code) + " and mounted nothing";
}

}  // namespace

UserError FuseServer::check(const MountSpec& spec) {
  const std::string program = program_of(spec);
  if (program.find('/') != std::string::npos || find_program(program).empty())
    return {"there is no program " + program};
  return {};
}

void FuseServer::run(const MountSpec& spec, const EnvSpec& env, int control) {
  ViewSpec view;
  view.env = env;
  view.allow_mount = true;
  const bool shows = !needs_what_is_at(spec);
  if (shows) {
    MountSpec own;
    own.type = "tmpfs";
    own.at = spec.at;
    view.mounts.push_back(own);
  }
  RunOptions options;
  const std::string source = spec.sources.empty() ? program_of(spec) : spec.sources[0];
  options.command = {find_program(program_of(spec)), source, spec.at};
  if (!spec.options.empty()) {
    options.command.emplace_back("-o");
    options.command.push_back(joined(spec.options));
  }
  const auto give = [control, shows](const FuseConnection& mounted) -> Result<bool> {
    TRY(hand_over(control, mounted, shows));
    return shows;
  };
  _exit(run_server_view(view, options, give, control));
}

UserError FuseServer::start(const MountSpec& spec, const EnvSpec& env) {
  if (UserError error = check(spec)) return error;
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0)
    return {std::string("socketpair: ") + strerror(errno)};
  control_.reset(ends[0]);
  UniqueFd theirs(ends[1]);
  const pid_t parent = getpid();
  engine_ = fork();
  if (engine_ < 0) return {std::string("fork: ") + strerror(errno)};
  if (engine_ == 0) {
    // Whoever is killed can't end its servers.
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(125);
    close(ends[0]);
    run(spec, env, ends[1]);
  }
  theirs.reset();
  pollfd poll{.fd = control_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&poll, 1, kStartSeconds * 1000);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0)
    return {program_of(spec) + " has mounted nothing for " + std::to_string(kStartSeconds) +
            " seconds"};
  if (!receive(control_.get())) return {};
  if (!ended(kMomentMs)) return {program_of(spec) + " mounted nothing"};
  return {why_ended(program_of(spec), status_)};
}

UserError FuseServer::receive(int control) {
  std::string text(kMostText, '\0');
  iovec part{text.data(), text.size()};
  alignas(cmsghdr) FdRoom room{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room.data();
  message.msg_controllen = room.size();
  const ssize_t size = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return {"no connection"};
  std::array<int, kMostFds> fds{-1, -1};
  memcpy(fds.data(), CMSG_DATA(header), std::min(sizeof fds, header->cmsg_len - CMSG_LEN(0)));
  connection_ = std::make_shared<UniqueFd>(fds[0]);
  other_.reset(fds[1]);
  same_.reset(fcntl(fds[0], F_DUPFD_CLOEXEC, 0));
  text.resize(static_cast<size_t>(size));
  const size_t end = text.find('\0');
  source_ = text.substr(0, end);
  std::istringstream words(end == std::string::npos ? "" : std::string(text.c_str() + end + 1));
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    if (!word.empty())
      options_[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return {};
}

/// What the kernel shows of them: not what was for mount(2) alone.
std::string FuseServer::shown_options() const {
  std::map<std::string, std::string> shown = options_;
  shown.erase("rootmode");
  return joined(shown);
}

bool FuseServer::answers() const {
  pollfd poll{.fd = same_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&poll, 1, kAnswerSeconds * 1000);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

bool FuseServer::ended(int milliseconds) {
  constexpr int kStepMs = 10;
  for (int left = milliseconds; engine_ > 0; left -= kStepMs) {
    const pid_t gone = waitpid(engine_, &status_, WNOHANG);
    if (gone == engine_ || (gone < 0 && errno == ECHILD)) engine_ = -1;
    if (engine_ < 0 || left <= 0) break;
    constexpr timespec kStep{0, kStepMs * 1'000'000};
    nanosleep(&kStep, nullptr);
  }
  return engine_ < 0;
}

FuseServer::~FuseServer() {
  const bool served = status_ == 0 && engine_ > 0;
  other_.reset();
  // Its end may be in the hands of other servers' engines as well.
  if (control_) (void)shutdown(control_.get(), SHUT_RDWR);
  if (ended(served && same_ ? kToldMs : 0)) return;
  if (same_) (void)shutdown(same_.get(), SHUT_RDWR);
  same_.reset();
  connection_.reset();
  if (ended(served ? kMomentMs : 0)) return;
  kill(engine_, SIGTERM);
  if (ended(kMomentMs)) return;
  // Its tracees go with it.
  kill(engine_, SIGKILL);
  (void)ended(kMomentMs);
}

}  // namespace viewsh
