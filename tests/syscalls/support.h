#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

namespace viewsh_test {

/// Where the tests run: VIEWSH_TEST_MODE (native, empty, bind, cow, mincow, image, fakeroot,
/// fakeuser).
enum class Mode { kNative, kEmpty, kBind, kCow, kMincow, kImage, kFakeRoot, kFakeUser };
Mode mode();
inline bool in_view() { return mode() != Mode::kNative; }
/// The view has paths of its own, so that the engine sees calls that take one.
inline bool has_mounts() { return in_view() && mode() != Mode::kEmpty; }
/// What the kernel refuses because of a permission: -error, but in a mincow it is done in the
/// layer.
inline long refused(int error) { return mode() == Mode::kMincow ? 0 : -error; }

template <typename T>
long to_register(T value) {
  if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else {
    return static_cast<long>(value);
  }
}

/// A raw system call: the value, or -errno. Every variant of a family is reached this way, whatever
/// the C library makes of it.
template <typename... Args>
long sys(long number, Args... args) {
  long result = ::syscall(number, to_register(args)...);
  return result == -1 ? -errno : result;
}

/// A value with guard bytes round it: a call must not write outside what it was given.
template <typename T>
class Guarded {
 public:
  Guarded() {
    before_.fill(kGuard);
    after_.fill(kGuard);
    std::memset(static_cast<void*>(&value_), kGuard, sizeof(value_));
  }
  T* operator&() { return &value_; }  // NOLINT: used like the value itself
  T* operator->() { return &value_; }
  T& operator*() { return value_; }
  bool intact() const {
    for (unsigned char c : before_) {
      if (c != kGuard) return false;
    }
    for (unsigned char c : after_) {
      if (c != kGuard) return false;
    }
    return true;
  }

 private:
  static constexpr unsigned char kGuard = 0xa5;
  std::array<unsigned char, 64> before_;
  T value_;
  std::array<unsigned char, 64> after_;
};

/// A descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(long fd) : fd_(static_cast<int>(fd)) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(-1); }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// Opens with openat(2); the test goes on with an invalid descriptor if that fails.
Fd open_fd(const std::string& path, int flags, mode_t mode = 0644);
void write_file(const std::string& path, const std::string& content, mode_t mode = 0644);
/// The content, or "!errno-name" if it can't be read.
std::string read_file(const std::string& path);
bool exists(const std::string& path);
/// What uname(2) says of the kernel.
bool linux_is_at_least(int major, int minor);
/// lstat(2), zeroed on failure.
struct stat lstat_of(const std::string& path);
struct stat stat_of(const std::string& path);
std::string read_link(const std::string& path);
/// Sorted names, without . and ..
std::vector<std::string> names_in(const std::string& path);
std::string own_binary();

/// Runs `body` in a forked child; what it returns is the exit status. Returns the wait status.
int run_child(const std::function<int()>& body);
inline bool exited_with(int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}
/// Forks, runs `body` with standard output and error caught, and gives back what came.
struct Captured {
  int status = 0;
  std::string output;
};
Captured capture(const std::function<int()>& body);

/// Polls until `condition` holds; false after the deadline. Never a bare sleep.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::milliseconds deadline = std::chrono::seconds(20));

/// File calls of all shapes; 0, or the number of the one that failed. `absolute` is a file of seven
/// bytes.
int file_work(const char* dir, const char* absolute);

/// Each test starts in an empty directory of its own below $TMPDIR.
class SyscallTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// The absolute path of that directory.
  const std::string& dir() const { return dir_; }
  std::string at(const std::string& name) const { return dir_ + "/" + name; }

 private:
  std::string dir_;
  Fd old_cwd_;
};

/// Programs that the tests start are this binary again: `syscall_tests --helper NAME ARG...`.
int run_helper(int argc, char** argv);

// Calls newer than the headers that the tests build with.
inline constexpr long kFchmodat2 = 452;
inline constexpr long kSetxattrat = 463;
inline constexpr long kGetxattrat = 464;

}  // namespace viewsh_test
