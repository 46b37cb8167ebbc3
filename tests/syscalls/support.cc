#include "support.h"

#include <dirent.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <utility>

namespace viewsh_test {

Mode mode() {
  const char* text = ::getenv("VIEWSH_TEST_MODE");
  std::string name = text == nullptr ? "native" : text;
  if (name == "empty") return Mode::kEmpty;
  if (name == "bind") return Mode::kBind;
  if (name == "cow") return Mode::kCow;
  if (name == "mincow") return Mode::kMincow;
  if (name == "image") return Mode::kImage;
  if (name == "fakeroot") return Mode::kFakeRoot;
  if (name == "fakeuser") return Mode::kFakeUser;
  return Mode::kNative;
}

Fd open_fd(const std::string& path, int flags, mode_t mode) {
  long fd = sys(SYS_openat, AT_FDCWD, path.c_str(), flags, mode);
  EXPECT_GE(fd, 0) << path << ": " << std::strerror(static_cast<int>(-fd));
  return Fd(fd);
}

void write_file(const std::string& path, const std::string& content, mode_t mode) {
  Fd fd = open_fd(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  size_t done = 0;
  while (fd.ok() && done < content.size()) {
    ssize_t n = ::write(fd.get(), content.data() + done, content.size() - done);
    ASSERT_GT(n, 0) << path << ": " << std::strerror(errno);
    done += static_cast<size_t>(n);
  }
}

std::string read_file(const std::string& path) {
  Fd fd(sys(SYS_openat, AT_FDCWD, path.c_str(), O_RDONLY | O_CLOEXEC, 0));
  if (!fd.ok()) return std::string("!") + strerrorname_np(-fd.release());
  std::string content;
  std::array<char, 65536> buffer;
  for (;;) {
    ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0) return std::string("!") + strerrorname_np(errno);
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<size_t>(n));
  }
}

bool linux_is_at_least(int major, int minor) {
  struct utsname name {};
  int has_major = 0;
  int has_minor = 0;
  EXPECT_EQ(::uname(&name), 0);
  EXPECT_EQ(std::sscanf(name.release, "%d.%d", &has_major, &has_minor), 2) << name.release;
  return std::pair(has_major, has_minor) >= std::pair(major, minor);
}

bool exists(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}

struct stat lstat_of(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path << ": " << std::strerror(errno);
  return st;
}

struct stat stat_of(const std::string& path) {
  struct stat st = {};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path << ": " << std::strerror(errno);
  return st;
}

std::string read_link(const std::string& path) {
  std::array<char, 8192> buffer;
  ssize_t n = ::readlink(path.c_str(), buffer.data(), buffer.size());
  if (n < 0) return std::string("!") + strerrorname_np(errno);
  return std::string(buffer.data(), static_cast<size_t>(n));
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  EXPECT_NE(dir, nullptr) << path << ": " << std::strerror(errno);
  if (dir == nullptr) return names;
  while (dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::string own_binary() {
  static const std::string path = read_link("/proc/self/exe");
  return path;
}

int run_child(const std::function<int()>& body) {
  pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  EXPECT_GT(pid, 0);
  int status = -1;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

Captured capture(const std::function<int()>& body) {
  Captured result;
  std::array<int, 2> ends;
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return result;
  Fd reader(ends[0]);
  Fd writer(ends[1]);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(writer.get(), 1);
    ::dup2(writer.get(), 2);
    ::_exit(body());
  }
  writer.reset(-1);
  std::array<char, 4096> buffer;
  for (;;) {
    ssize_t n = ::read(reader.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    result.output.append(buffer.data(), static_cast<size_t>(n));
  }
  while (::waitpid(pid, &result.status, 0) < 0 && errno == EINTR) {
  }
  return result;
}

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

void SyscallTest::SetUp() {
  const char* base = ::getenv("TMPDIR");
  std::string pattern = std::string(base == nullptr ? "/tmp" : base) + "/syscall_test.XXXXXX";
  old_cwd_ = open_fd(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr) << pattern << ": " << std::strerror(errno);
  ASSERT_EQ(::chdir(pattern.c_str()), 0);
  std::array<char, 4096> cwd;
  ASSERT_NE(::getcwd(cwd.data(), cwd.size()), nullptr);
  dir_ = cwd.data();
  ::umask(022);
}

void SyscallTest::TearDown() {
  EXPECT_EQ(::fchdir(old_cwd_.get()), 0);
  std::error_code error;
  std::filesystem::remove_all(dir_, error);
  EXPECT_FALSE(error) << dir_ << ": " << error.message();
}

}  // namespace viewsh_test
