#include "image_copy.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <vector>

namespace viewsh {
namespace {

constexpr size_t kPart = size_t{1} << 20;   ///< bytes that are looked at at once
constexpr size_t kGrain = size_t{4} << 10;  ///< of these runs of changed ones are written

Result<void> write_all(WritableImage& image, NodeId node, const char* from, size_t size,
                       uint64_t offset) {
  while (size > 0) {
    TRY_ASSIGN(const size_t put, image.pwrite(node, from, size, offset));
    if (put == 0) return Errno(ENOSPC);
    from += put;
    size -= put;
    offset += put;
  }
  return {};
}

Result<size_t> read_part(int fd, char* to, size_t size, uint64_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Errno::last();
    if (n == 0) break;  // it became shorter
    done += static_cast<size_t>(n);
  }
  return done;
}

/// An image, or a server, that can't allocate in advance.
bool is_unknown(Errno why) {
  return why == EOPNOTSUPP || why == ENOSYS || why == EINVAL || why == EPERM;
}

/// One file of an image on its way to what another one holds.
class Copy {
 public:
  Copy(WritableImage& image, NodeId node, int from, uint64_t old_size)
      : image_(image), node_(node), from_(from), old_size_(old_size) {}

  Result<void> data(uint64_t begin, uint64_t end) {
    buffer_.resize(std::max(buffer_.size(), std::min<size_t>(kPart, end - begin)));
    for (uint64_t at = begin; at < end;) {
      const size_t want = static_cast<size_t>(std::min<uint64_t>(kPart, end - at));
      TRY_ASSIGN(const size_t got, read_part(from_, buffer_.data(), want, at));
      if (got == 0) return {};
      compared_ += got;
      TRY(part(at, got));
      at += got;
    }
    return {};
  }

  /// Nothing but zeros: given back, if there is anything.
  Result<void> hole(uint64_t begin, uint64_t end) {
    end = std::min(end, old_size_);
    if (begin >= end) return {};
    for (uint64_t at = begin; at < end;) {
      const size_t want = static_cast<size_t>(std::min<uint64_t>(kPart, end - at));
      TRY_ASSIGN(const size_t got, old_part(at, want));
      if (got == 0) return unreadable_ ? write_zeros(at, end) : Result<void>();
      const bool zeros = std::all_of(old_.begin(), old_.begin() + static_cast<ptrdiff_t>(got),
                                     [](char c) { return c == 0; });
      if (!zeros) {
        changed_ = true;
        TRY(image_.fallocate(node_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, got));
      }
      at += got;
    }
    return {};
  }
  /// Of a hole the parts that were allocated for what will be written: they are in the image, too,
  /// as far as it and the host's file system know such. fallocate(2)
  Result<void> reserved(uint64_t begin, uint64_t end) {
    constexpr uint32_t kAtOnce = 32;
    std::array<char, sizeof(fiemap) + kAtOnce * sizeof(fiemap_extent)> room{};
    while (begin < end) {
      auto* map = new (room.data()) fiemap{};
      map->fm_start = begin;
      map->fm_length = end - begin;
      map->fm_extent_count = kAtOnce;
      if (::ioctl(from_, FS_IOC_FIEMAP, map) < 0 || map->fm_mapped_extents == 0) return {};
      for (uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
        const fiemap_extent& extent = map->fm_extents[i];
        const uint64_t from = std::max<uint64_t>(extent.fe_logical, begin);
        begin = std::min<uint64_t>(extent.fe_logical + extent.fe_length, end);
        if ((extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) == 0 || from >= begin) continue;
        const auto done = image_.fallocate(node_, FALLOC_FL_KEEP_SIZE, from, begin - from);
        if (!done && !is_unknown(done.error())) return done;
      }
      if ((map->fm_extents[map->fm_mapped_extents - 1].fe_flags & FIEMAP_EXTENT_LAST) != 0) break;
    }
    return {};
  }
  void note_hole(uint64_t begin, uint64_t end) { holes_.push_back({begin, end}); }
  /// After all data, which may have room where what is only wished for has none.
  Result<void> reserve_holes() {
    for (const FilePart& hole : holes_) TRY(reserved(hole.begin, hole.end));
    return {};
  }
  bool changed() const { return changed_; }
  bool blind() const { return unreadable_; }
  uint64_t compared() const { return compared_; }

 private:
  /// What the image has there. Whoever may only write to the file doesn't compare: 0.
  Result<size_t> old_part(uint64_t at, size_t size) {
    if (unreadable_) return size_t{0};
    old_.resize(std::max(old_.size(), size));
    const auto got = image_.pread(node_, old_.data(), size, at);
    unreadable_ = got.error() == EACCES;
    return unreadable_ ? Result<size_t>(size_t{0}) : got;
  }
  Result<void> write_zeros(uint64_t begin, uint64_t end) {
    const std::vector<char> zeros(static_cast<size_t>(std::min<uint64_t>(kPart, end - begin)));
    changed_ = true;
    for (uint64_t at = begin; at < end; at += zeros.size()) {
      const auto size = static_cast<size_t>(std::min<uint64_t>(zeros.size(), end - at));
      TRY(write_all(image_, node_, zeros.data(), size, at));
    }
    return {};
  }
  Result<void> part(uint64_t at, size_t size) {
    size_t known = 0;
    if (at < old_size_) {
      TRY_ASSIGN(known, old_part(at, size));
    }
    for (size_t begin = 0; begin < size;) {
      if (same(begin, size, known)) {
        begin += kGrain;
        continue;
      }
      size_t end = begin + kGrain;
      while (end < size && !same(end, size, known)) end += kGrain;
      end = std::min(end, size);
      // What was there before is not written again: to some files one may only append.
      while (begin < known && buffer_[begin] == old_[begin]) ++begin;
      changed_ = true;
      TRY(write_all(image_, node_, buffer_.data() + begin, end - begin, at + begin));
      begin = (end + kGrain - 1) / kGrain * kGrain;
    }
    return {};
  }
  bool same(size_t begin, size_t size, size_t known) const {
    const size_t length = std::min(kGrain, size - begin);
    return begin + length <= known &&
           std::memcmp(buffer_.data() + begin, old_.data() + begin, length) == 0;
  }

  WritableImage& image_;
  NodeId node_;
  int from_;
  uint64_t old_size_;
  bool changed_ = false;
  bool unreadable_ = false;
  uint64_t compared_ = 0;
  std::vector<FilePart> holes_;
  std::vector<char> buffer_;
  std::vector<char> old_;
};

/// Data and holes of one part of the file that is copied from.
Result<void> copy_part(Copy* copy, int from, off_t begin, off_t end) {
  for (off_t at = begin; at < end;) {
    const off_t found = ::lseek(from, at, SEEK_DATA);
    if (found < 0 && errno != ENXIO) return Errno::last();
    const off_t data = found < 0 ? end : std::min<off_t>(found, end);
    TRY(copy->hole(static_cast<uint64_t>(at), static_cast<uint64_t>(data)));
    if (data > at) copy->note_hole(static_cast<uint64_t>(at), static_cast<uint64_t>(data));
    if (data >= end) break;
    const off_t hole = ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) return Errno::last();
    at = std::min<off_t>(hole, end);
    TRY(copy->data(static_cast<uint64_t>(data), static_cast<uint64_t>(at)));
  }
  return {};
}

}  // namespace

Result<Copied> copy_into_image(WritableImage& image, NodeId node, int from,
                               const std::vector<FilePart>* parts) {
  struct stat st {};
  if (::fstat(from, &st) < 0) return Errno::last();
  const auto size = static_cast<uint64_t>(st.st_size);
  TRY_ASSIGN(const Attr attr, image.getattr_open(node));
  if (size < attr.stx_size) TRY(image.resize_open(node, size));
  Copy copy(image, node, from, std::min<uint64_t>(size, attr.stx_size));
  const std::vector<FilePart> whole = {{0, size}};
  for (const FilePart& part : parts != nullptr ? *parts : whole) {
    // In whole grains: what is beside a change isn't compared again by its neighbour.
    const uint64_t begin = std::min(part.begin, size) / kGrain * kGrain;
    const uint64_t end =
        part.end > size - size % kGrain ? size : (part.end + kGrain - 1) / kGrain * kGrain;
    TRY(copy_part(&copy, from, static_cast<off_t>(begin), static_cast<off_t>(end)));
  }
  TRY_ASSIGN(const Attr now, image.getattr_open(node));
  if (now.stx_size < size) TRY(image.resize_open(node, size));
  TRY(copy.reserve_holes());
  return Copied{copy.changed() || attr.stx_size != size, copy.compared(), copy.blind()};
}

}  // namespace viewsh
