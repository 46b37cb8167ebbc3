#include "image_source.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace viewsh {

Result<ImageSource> ImageSource::open(UniqueFd fd, uint64_t offset, uint64_t limit) {
  ImageSource source;
  source.fd_ = std::move(fd);
  if (::fstat(source.fd_.get(), &source.attr_) < 0) return Errno::last();
  uint64_t whole = 0;
  if (S_ISREG(source.attr_.st_mode)) {
    whole = static_cast<uint64_t>(source.attr_.st_size);
  } else if (S_ISBLK(source.attr_.st_mode)) {
    if (::ioctl(source.fd_.get(), BLKGETSIZE64, &whole) < 0) return Errno::last();
  } else {
    return Errno(S_ISDIR(source.attr_.st_mode) ? EISDIR : ENOTSUP);
  }
  if (offset > whole) return Errno(EINVAL);
  source.start_ = offset;
  source.size_ = whole - offset;
  if (limit != 0) source.size_ = std::min(source.size_, limit);
  return source;
}

Result<size_t> ImageSource::pread(void* to, size_t size, uint64_t offset) const {
  if (offset >= size_) return size_t{0};
  size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd_.get(), static_cast<char*>(to) + done, size - done,
                              static_cast<off_t>(start_ + offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

uint64_t ImageSource::data_size() const {
  const auto end = static_cast<off_t>(start_ + size_);
  uint64_t total = 0;
  for (auto at = static_cast<off_t>(start_); at < end;) {
    const off_t data = lseek(fd_.get(), at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) return size_;  // a device, which has no holes
    if (data < 0 || data >= end) break;
    const off_t hole = lseek(fd_.get(), data, SEEK_HOLE);
    at = hole < 0 ? end : std::min(hole, end);
    total += static_cast<uint64_t>(at - data);
  }
  return total;
}

bool ImageSource::unchanged() const {
  struct stat now {};
  if (::fstat(fd_.get(), &now) < 0) return false;
  return now.st_size == attr_.st_size && now.st_mtim.tv_sec == attr_.st_mtim.tv_sec &&
         now.st_mtim.tv_nsec == attr_.st_mtim.tv_nsec;
}

}  // namespace viewsh
