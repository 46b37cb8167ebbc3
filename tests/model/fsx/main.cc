// fsx FILE SEED OPS: random operations on one file, held against a buffer in memory. The idea is
// that of fsx (A. Tevanian; the xfstests of Linux), the code is our own. Exit status 1 and the last
// operations on standard output at the first byte that is wrong.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>

namespace {

constexpr size_t kMax = 200000;

class Fsx {
 public:
  Fsx(std::string path, uint32_t seed) : path_(std::move(path)), random_(seed) {
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("open");
    struct stat st {};
    if (fstat(fd_, &st) != 0) fail("fstat");
    model_.resize(static_cast<size_t>(st.st_size));
    if (pread(fd_, model_.data(), model_.size(), 0) != st.st_size) fail("first read");
  }
  ~Fsx() { close(fd_); }
  Fsx(const Fsx&) = delete;
  Fsx& operator=(const Fsx&) = delete;

  void step() {
    const size_t offset = pick(kMax);
    const size_t length = 1 + pick(pick(4) == 0 ? 40000 : 3000);
    switch (pick(13)) {
      case 0:
      case 1:
        return do_write(offset, length);
      case 2:
        return do_map_write(length);
      case 3:
        return do_truncate(offset);
      case 4:
        return do_allocate(offset, length, 0);
      case 5:
        return do_allocate(offset, length, FALLOC_FL_KEEP_SIZE);
      case 6:
        return do_allocate(offset, length, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
      case 7:
        return do_copy(offset, length);
      case 8:
        return do_append(length);
      case 9:
        return do_reopen();
      case 10:
        return do_rename();
      case 11:
        return check_map();
      default:
        return check_read(offset, length);
    }
  }

  /// The whole file, through a descriptor of its own.
  void check_all() {
    note("check all");
    const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    std::string data(model_.size() + 1, '\0');
    size_t have = 0;
    for (ssize_t n = 1; n > 0; have += static_cast<size_t>(n)) {
      n = pread(fd, data.data() + have, data.size() - have, static_cast<off_t>(have));
      if (n < 0) fail("pread");
    }
    close(fd);
    data.resize(have);
    compare(data, 0, model_.size());
  }

 private:
  size_t pick(size_t n) { return static_cast<size_t>(random_() % n); }

  void note(const std::string& what, size_t offset = 0, size_t length = 0) {
    last_.push_back(what + " " + std::to_string(offset) + " " + std::to_string(length) + " (size " +
                    std::to_string(model_.size()) + ")");
    if (last_.size() > 30) last_.pop_front();
  }

  [[noreturn]] void fail(const std::string& what) {
    std::printf("FAIL: %s: %s\n", what.c_str(), std::strerror(errno));
    for (const std::string& line : last_) std::printf("  %s\n", line.c_str());
    std::fflush(stdout);
    std::_Exit(1);
  }

  void compare(const std::string& data, size_t offset, size_t length) {
    errno = 0;
    const std::string want = offset < model_.size() ? model_.substr(offset, length) : std::string();
    if (data.size() != want.size()) {
      fail("length " + std::to_string(data.size()) + " instead of " + std::to_string(want.size()));
    }
    const auto at = std::mismatch(data.begin(), data.end(), want.begin()).first - data.begin();
    if (static_cast<size_t>(at) != data.size()) {
      fail("wrong byte at " + std::to_string(offset + static_cast<size_t>(at)));
    }
  }

  void size_is_right() {
    struct stat st {};
    struct stat named {};
    if (fstat(fd_, &st) != 0 || stat(path_.c_str(), &named) != 0) fail("stat");
    errno = 0;
    if (static_cast<size_t>(st.st_size) != model_.size()) fail("fstat's size");
    if (static_cast<size_t>(named.st_size) != model_.size()) fail("stat's size");
    if (named.st_ino != st.st_ino) fail("inode of descriptor and name");
  }

  void cover(size_t offset, const std::string& data) {
    if (model_.size() < offset + data.size()) model_.resize(offset + data.size());
    model_.replace(offset, data.size(), data);
  }

  std::string fresh(size_t length) {
    std::string data(length, '\0');
    for (char& c : data) c = static_cast<char>(random_());
    return data;
  }

  void do_write(size_t offset, size_t length) {
    note("write", offset, length);
    const std::string data = fresh(length);
    if (pwrite(fd_, data.data(), length, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(length)) {
      fail("pwrite");
    }
    cover(offset, data);
    size_is_right();
  }

  void do_append(size_t length) {
    if (model_.size() + length > 2 * kMax) return;
    note("append", model_.size(), length);
    const std::string data = fresh(length);
    const int fd = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || write(fd, data.data(), length) != static_cast<ssize_t>(length)) fail("append");
    close(fd);
    model_ += data;
    size_is_right();
  }

  void do_map_write(size_t length) {
    if (model_.empty()) return;
    const size_t offset = pick(model_.size());
    length = std::min(length, model_.size() - offset);
    note("mapped write", offset, length);
    void* memory = mmap(nullptr, model_.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (memory == MAP_FAILED) fail("mmap");
    const std::string data = fresh(length);
    std::memcpy(static_cast<char*>(memory) + offset, data.data(), length);
    if (munmap(memory, model_.size()) != 0) fail("munmap");
    cover(offset, data);
  }

  void check_map() {
    if (model_.empty()) return;
    note("mapped read");
    void* memory = mmap(nullptr, model_.size(), PROT_READ, MAP_SHARED, fd_, 0);
    if (memory == MAP_FAILED) fail("mmap");
    compare(std::string(static_cast<char*>(memory), model_.size()), 0, model_.size());
    munmap(memory, model_.size());
  }

  void check_read(size_t offset, size_t length) {
    note("read", offset, length);
    std::string data(length, '\0');
    const ssize_t n = pread(fd_, data.data(), length, static_cast<off_t>(offset));
    if (n < 0) fail("pread");
    data.resize(static_cast<size_t>(n));
    compare(data, offset, length);
  }

  void do_truncate(size_t size) {
    note("truncate", size);
    const auto length = static_cast<off_t>(size);
    if ((pick(2) == 0 ? truncate(path_.c_str(), length) : ftruncate(fd_, length)) != 0) {
      fail("truncate");
    }
    model_.resize(size);
    size_is_right();
  }

  void do_allocate(size_t offset, size_t length, int mode) {
    note("fallocate " + std::to_string(mode), offset, length);
    if (fallocate(fd_, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0) {
      if (errno == EOPNOTSUPP) return;
      fail("fallocate");
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && offset < model_.size()) {
      const size_t inside = std::min(length, model_.size() - offset);
      model_.replace(offset, inside, std::string(inside, '\0'));
    }
    if (mode == 0 && offset + length > model_.size()) model_.resize(offset + length);
    size_is_right();
  }

  void do_copy(size_t to, size_t length) {
    if (model_.empty()) return;
    const size_t from = pick(model_.size());
    length = std::min(length, model_.size() - from);
    if (from < to + length && to < from + length) return;
    note("copy_file_range " + std::to_string(from), to, length);
    auto in = static_cast<off64_t>(from);
    auto out = static_cast<off64_t>(to);
    for (size_t left = length; left > 0;) {
      const ssize_t n = copy_file_range(fd_, &in, fd_, &out, left, 0);
      if (n <= 0) fail("copy_file_range");
      left -= static_cast<size_t>(n);
    }
    cover(to, model_.substr(from, length));
    size_is_right();
  }

  void do_reopen() {
    note("reopen");
    close(fd_);
    fd_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (fd_ < 0) fail("open");
    size_is_right();
  }

  void do_rename() {
    note("rename");
    const std::string other =
        path_.ends_with(".moved") ? path_.substr(0, path_.size() - 6) : path_ + ".moved";
    if (rename(path_.c_str(), other.c_str()) != 0) fail("rename");
    path_ = other;
    size_is_right();
  }

  std::string path_;
  std::mt19937 random_;
  int fd_ = -1;
  std::string model_;
  std::deque<std::string> last_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: fsx FILE SEED OPS\n");
    return 2;
  }
  const long ops = std::strtol(argv[3], nullptr, 10);
  Fsx fsx(argv[1], static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10)));
  for (long i = 0; i < ops; ++i) {
    fsx.step();
    if (i % 100 == 99) fsx.check_all();
  }
  fsx.check_all();
  std::printf("fsx: seed %s, %ld operations\n", argv[2], ops);
  return 0;
}
