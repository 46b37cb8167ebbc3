#include "ext_recover.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <vector>

#include "viewsh/unique_fd.h"

namespace viewsh {
namespace {

constexpr std::array kPrograms = {"/usr/sbin/e2fsck", "/sbin/e2fsck", "/usr/local/sbin/e2fsck"};
constexpr int kChildFd = 3;

const char* find_e2fsck() {
  for (const char* program : kPrograms) {
    if (::access(program, X_OK) == 0) return program;
  }
  return nullptr;
}

/// The child has the image at kChildFd, its words in `out`, and nothing to read.
Result<pid_t> spawn(const char* program, int fd, int out, const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::array<char*, 3> environment = {const_cast<char*>("PATH=/usr/sbin:/usr/bin:/sbin:/bin"),
                                      const_cast<char*>("LC_ALL=C"), nullptr};
  posix_spawn_file_actions_t actions;
  if (const int rc = ::posix_spawn_file_actions_init(&actions)) return Errno(rc);
  ::posix_spawn_file_actions_adddup2(&actions, out, 1);
  ::posix_spawn_file_actions_adddup2(&actions, out, 2);
  ::posix_spawn_file_actions_adddup2(&actions, fd, kChildFd);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  pid_t pid = -1;
  const int rc = ::posix_spawn(&pid, program, &actions, nullptr, argv.data(), environment.data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (rc != 0) return Errno(rc);
  return pid;
}

std::string last_line(int fd) {
  std::string text;
  std::array<char, 4096> part;
  for (;;) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(part.data(), static_cast<size_t>(got));
    if (text.size() > 65536) text.erase(0, text.size() - 4096);
  }
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

Result<void> ext_replay_journal(int fd, uint64_t offset, std::string* why) {
  const char* program = find_e2fsck();
  if (program == nullptr) {
    *why = "there is no e2fsck to replay it";
    return Errno(ENOENT);
  }
  std::array<int, 2> pipe_fds;
  if (::pipe2(pipe_fds.data(), O_CLOEXEC) != 0) return Errno::last();
  UniqueFd reader(pipe_fds[0]);
  UniqueFd writer(pipe_fds[1]);
  // A copy above the child's number: dup2() onto itself would leave it close-on-exec.
  UniqueFd image(::fcntl(fd, F_DUPFD_CLOEXEC, kChildFd + 1));
  if (!image) return Errno::last();
  std::string target = "/proc/self/fd/" + std::to_string(kChildFd);
  if (offset != 0) target += "?offset=" + std::to_string(offset);
  TRY_ASSIGN(const pid_t pid, spawn(program, image.get(), writer.get(),
                                    {"e2fsck", "-p", "-E", "journal_only", target}));
  writer.reset();
  const std::string said = last_line(reader.get());
  int status = 0;
  pid_t waited;
  do {
    waited = ::waitpid(pid, &status, __WALL);
  } while (waited < 0 && errno == EINTR);
  // ECHILD: somebody else of this process reaped it; the image will tell.
  const bool bad = waited == pid && (!WIFEXITED(status) || (WEXITSTATUS(status) & ~3) != 0);
  if (!bad) return {};
  *why = "e2fsck failed: " + said;
  return Errno(EIO);
}

}  // namespace viewsh
