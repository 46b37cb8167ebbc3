#include "ext_device.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace viewsh {
namespace {

class FdDevice : public ExtDevice {
 public:
  FdDevice(int fd, uint64_t offset, uint64_t size, ExtAround* around)
      : fd_(fd), offset_(offset), size_(size), around_(around) {}

  uint64_t size() const override { return size_; }

  Result<void> read(void* to, size_t size, uint64_t position) override {
    if (position > size_ || size > size_ - position) return Errno(EIO);
    auto* at = static_cast<char*>(to);
    while (size > 0) {
      const ssize_t got = ::pread(fd_, at, size, static_cast<off_t>(offset_ + position));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Errno::last();
      if (got == 0) return Errno(EIO);  // somebody made the file shorter
      at += got;
      position += static_cast<uint64_t>(got);
      size -= static_cast<size_t>(got);
    }
    return {};
  }

  Result<void> write(const void* from, size_t size, uint64_t position) override {
    if (position > size_ || size > size_ - position) return Errno(EIO);
    const Result<void> done = put(from, size, position);
    if (around_ != nullptr) around_->wrote(offset_ + position, size);
    return done;
  }

  Result<void> flush() override {
    TRY(from_libc(::fdatasync(fd_)));
    return around_ != nullptr ? around_->flush() : Result<void>();
  }

 private:
  Result<void> put(const void* from, size_t size, uint64_t position) const {
    const auto* at = static_cast<const char*>(from);
    while (size > 0) {
      const ssize_t put = ::pwrite(fd_, at, size, static_cast<off_t>(offset_ + position));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Errno::last();
      at += put;
      position += static_cast<uint64_t>(put);
      size -= static_cast<size_t>(put);
    }
    return {};
  }

  int fd_;
  uint64_t offset_;
  uint64_t size_;
  ExtAround* around_;
};

}  // namespace

Result<std::unique_ptr<ExtDevice>> ext_fd_device(int fd, uint64_t offset, uint64_t limit,
                                                 ExtAround* around) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return Errno::last();
  if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) return Errno(EINVAL);
  uint64_t size = static_cast<uint64_t>(st.st_size);
  if (S_ISBLK(st.st_mode)) {
    const off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < 0) return Errno::last();
    size = static_cast<uint64_t>(end);
  }
  if (offset >= size) return Errno(EINVAL);
  size -= offset;
  if (limit != 0) size = std::min(size, limit);
  return std::unique_ptr<ExtDevice>(std::make_unique<FdDevice>(fd, offset, size, around));
}

}  // namespace viewsh
