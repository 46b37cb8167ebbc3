#include "archive_keep.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace viewsh {

Result<ArchiveKeep::Slot> ArchiveKeep::reserve(uint64_t size) {
  if (broken_ || size > limit_ / 4) return Errno(ENOSPC);
  if (!fd_) {
    broken_ = true;
    if (!scratch_) return Errno(ENOSPC);
    TRY_ASSIGN(const std::string dir, scratch_());
    fd_.reset(::open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!fd_) {
      const std::string name = dir + "/kept";
      fd_.reset(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
      if (!fd_) return Errno::last();
      ::unlink(name.c_str());
    }
    broken_ = false;
  }
  if (end_ + size > limit_) {
    kept_.clear();
    end_ = 0;
    if (::ftruncate(fd_.get(), 0) < 0) return Errno::last();
  }
  return Slot{fd_.get(), end_};
}

void ArchiveKeep::commit(NodeId node, const Slot& slot, uint64_t size) {
  kept_[node] = {slot.at, size};
  end_ = slot.at + size;
}

Result<void> ArchiveKeep::take(NodeId node, int to, Pace* pace) {
  const auto found = kept_.find(node);
  if (found == kept_.end()) return Errno(ENOENT);
  const Extent extent = found->second;
  TRY(copy_part(fd_.get(), extent.at, extent.size, to, pace));
  kept_.erase(node);
  // Only whole blocks are given back; a file system that can't do it keeps them to the end.
  (void)::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(extent.at),
                    static_cast<off_t>(std::max<uint64_t>(extent.size, 1)));
  return {};
}

Result<void> copy_part(int from, uint64_t at, uint64_t size, int to, Pace* pace) {
  constexpr uint64_t kPiece = uint64_t{4} << 20;
  auto in = static_cast<off_t>(at);
  off_t out = 0;
  uint64_t left = size;
  while (left > 0) {
    const ssize_t n = ::copy_file_range(from, &in, to, &out, std::min(left, kPiece), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // between these file systems it can't be done, or says nothing
    left -= static_cast<uint64_t>(n);
    TRY(pace->step());
  }
  std::vector<char> buffer(left == 0 ? 0 : size_t{1} << 17);
  while (left > 0) {
    const size_t want = static_cast<size_t>(std::min<uint64_t>(left, buffer.size()));
    const ssize_t n = ::pread(from, buffer.data(), want, in);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno(EIO);
    if (n == 0) return Errno(EUCLEAN);
    for (ssize_t done = 0; done < n;) {
      const ssize_t w =
          ::pwrite(to, buffer.data() + done, static_cast<size_t>(n - done), out + done);
      if (w < 0 && errno == EINTR) continue;
      if (w < 0) return Errno::last();
      done += w;
    }
    in += n;
    out += n;
    left -= static_cast<uint64_t>(n);
    TRY(pace->step());
  }
  return {};
}

}  // namespace viewsh
