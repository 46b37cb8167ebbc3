#include "same_content.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "commit_tree.h"
#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

constexpr off_t kBlock = 1 << 20;
constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;

/// Without a trace in the times where the owner asks; the others may not have that.
UniqueFd open_quietly(int dir, const char* name) {
  UniqueFd fd(openat(dir, name, kFlags | O_NOATIME));
  if (!fd && errno == EPERM) fd.reset(openat(dir, name, kFlags));
  return fd;
}

/// All of it, or false.
bool read_fully(int fd, char* to, size_t count, off_t at) {
  while (count > 0) {
    const ssize_t n = pread(fd, to, count, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    at += n;
    count -= static_cast<size_t>(n);
  }
  return true;
}

/// From `at` on: where data begin, and where they end.
struct Extent {
  off_t begin;
  off_t end;
};
Extent extent(int fd, off_t at, off_t size) {
  const off_t data = lseek(fd, at, SEEK_DATA);
  if (data < 0) return errno == ENXIO ? Extent{size, size} : Extent{at, size};
  const off_t hole = lseek(fd, data, SEEK_HOLE);
  return {data, hole < 0 ? size : std::min(hole, size)};
}

class Comparison {
 public:
  Comparison(int a, int b, off_t size) : a_(a), b_(b), size_(size) {}

  bool run() {
    if (size_ <= kBlock) return range(0, size_);
    for (off_t at = 0; at < size_;) {
      const Extent a = extent(a_, at, size_);
      const Extent b = extent(b_, at, size_);
      // Up to where the first begins both have a hole; the other one may begin within it.
      const Extent& first = a.begin <= b.begin ? a : b;
      if (!range(first.begin, first.end)) return false;
      at = first.end;
    }
    return true;
  }

 private:
  bool range(off_t at, off_t end) {
    while (at < end) {
      const auto count = static_cast<size_t>(std::min(end - at, kBlock));
      if (text_a_.size() < count) text_a_.resize(count), text_b_.resize(count);
      if (!read_fully(a_, text_a_.data(), count, at)) return false;
      if (!read_fully(b_, text_b_.data(), count, at)) return false;
      if (memcmp(text_a_.data(), text_b_.data(), count) != 0) return false;
      at += static_cast<off_t>(count);
    }
    return true;
  }

  int a_, b_;
  off_t size_;
  std::vector<char> text_a_, text_b_;
};

}  // namespace

bool same_data(int a, int b, uint64_t size) {
  return Comparison(a, b, static_cast<off_t>(size)).run();
}

bool same_content_at(int dir_a, int dir_b, const std::string& name, uint64_t size, bool locked) {
  if (size == 0) return true;
  UniqueFd a = open_quietly(dir_a, name.c_str());
  if (!a && locked) a = open_anyway(dir_a, name, kFlags);
  const UniqueFd b = a ? open_quietly(dir_b, name.c_str()) : UniqueFd();
  return b && same_data(a.get(), b.get(), size);
}

bool same_content(const std::string& a, const std::string& b) {
  const auto sa = lstat_at(AT_FDCWD, a);
  const auto sb = lstat_at(AT_FDCWD, b);
  if (!sa || !sb || (sa->stx_mode & S_IFMT) != (sb->stx_mode & S_IFMT)) return false;
  if (S_ISLNK(sa->stx_mode)) {
    const auto ta = read_link(AT_FDCWD, a);
    const auto tb = read_link(AT_FDCWD, b);
    return ta && tb && *ta == *tb;
  }
  if (!S_ISREG(sa->stx_mode)) return true;
  if (sa->stx_size != sb->stx_size) return false;
  if (sa->stx_size == 0) return true;
  const UniqueFd fa = open_quietly(AT_FDCWD, LongPath(a).c_str());
  const UniqueFd fb = open_quietly(AT_FDCWD, LongPath(b).c_str());
  return fa && fb && same_data(fa.get(), fb.get(), sa->stx_size);
}

}  // namespace viewsh::viewfs
