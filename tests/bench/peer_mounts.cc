#include "peer_mounts.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <vector>

#include "options.h"

namespace bench {
namespace {

constexpr size_t kLongest = 8192;
constexpr char kSeparator = '\n';

bool is_mount_point(const std::string& at) {
  struct stat inner {};
  struct stat outer {};
  if (stat(at.c_str(), &inner) != 0 || stat((at + "/..").c_str(), &outer) != 0) return false;
  return inner.st_dev != outer.st_dev;
}

pid_t start(const Argv& argv) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setpgid(0, 0);  // an interrupt is the bench's, which unmounts
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2; ++fd) dup2(nowhere, fd);
  execvp(args[0], args.data());
  _exit(127);
}

/// The server of the one mount that there is at a time.
class Helper {
 public:
  std::string mount(Argv argv) {
    const std::string at = argv[0];
    argv.erase(argv.begin());
    if (find_program(argv[0]).empty()) return argv[0] + " is not installed";
    server_ = start(argv);
    for (int i = 0; i < 500; ++i) {
      if (is_mount_point(at)) return "";
      if (waitpid(server_, nullptr, WNOHANG) == server_) return argv[0] + " ended at once";
      usleep(10'000);
    }
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    return argv[0] + " mounted nothing";
  }
  std::string umount(const std::string& at) {
    const bool root = geteuid() == 0;
    const pid_t pid = root ? start({"umount", at}) : start({"fusermount3", "-u", at});
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      kill(server_, SIGKILL);
      if (root) waitpid(start({"umount", "-l", at}), nullptr, 0);
    }
    waitpid(server_, nullptr, 0);
    return status == 0 ? "" : "umount failed";
  }

 private:
  pid_t server_ = -1;
};

[[noreturn]] void serve(int fd) {
  // An interrupted bench unmounts before it ends.
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_IGN);
  Helper helper;
  std::string mounted;
  char line[kLongest];
  for (ssize_t size = 0; (size = recv(fd, line, sizeof line, 0)) > 0;) {
    Argv words = split(std::string(line, static_cast<size_t>(size)), kSeparator);
    const bool mounts = words[0] == "mount";
    words.erase(words.begin());
    const std::string at = words[0];
    const std::string answer = mounts ? helper.mount(words) : helper.umount(at);
    mounted = mounts && answer.empty() ? at : "";
    if (send(fd, answer.c_str(), answer.size() + 1, MSG_NOSIGNAL) < 0) break;
  }
  if (!mounted.empty()) helper.umount(mounted);
  _exit(0);
}

}  // namespace

PeerMounts::PeerMounts() : root_(geteuid() == 0) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) die("socketpair");
  pid_ = fork();
  if (pid_ < 0) die(std::string("fork: ") + strerror(errno));
  if (pid_ == 0) {
    close(ends[0]);
    serve(ends[1]);
  }
  close(ends[1]);
  fd_ = ends[0];
}

PeerMounts::~PeerMounts() {
  close(fd_);
  waitpid(pid_, nullptr, 0);
}

std::string PeerMounts::ask(const std::string& line) {
  char answer[kLongest];
  if (send(fd_, line.c_str(), line.size(), MSG_NOSIGNAL) < 0) return "the helper is gone";
  ssize_t size = 0;
  while ((size = recv(fd_, answer, sizeof answer, 0)) < 0 && errno == EINTR) {
  }
  return size <= 0 ? "the helper is gone" : std::string(answer, static_cast<size_t>(size) - 1);
}

std::string PeerMounts::mount(const Argv& server, const std::string& at) {
  std::string line = std::string("mount") + kSeparator + at;
  for (const std::string& word : server) line += kSeparator + word;
  return ask(line);
}

std::string PeerMounts::umount(const std::string& at) {
  return ask(std::string("umount") + kSeparator + at);
}

}  // namespace bench
