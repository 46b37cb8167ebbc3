#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

class ImageOuter;

/// The bytes that an image is made of: an open file or a part of one (the options offset= and
/// sizelimit=). Read by position only, so that several readers can share it.
class ImageSource {
 public:
  /// `fd` is a regular file or a block device, open for reading. ENOTSUP: it is something else,
  /// EISDIR; EINVAL: the part begins behind its end. `limit` 0: up to the end.
  static Result<ImageSource> open(UniqueFd fd, uint64_t offset, uint64_t limit);

  int fd() const { return fd_.get(); }
  uint64_t start() const { return start_; }  ///< where offset 0 of the image is in the file
  uint64_t size() const { return size_; }
  const struct stat& attr() const { return attr_; }
  /// Who has the file; null: the kernel alone.
  void set_outer(std::shared_ptr<ImageOuter> outer) { outer_ = std::move(outer); }
  const std::shared_ptr<ImageOuter>& outer() const { return outer_; }
  /// pread(2) at an offset of the image; short only at its end.
  Result<size_t> pread(void* to, size_t size, uint64_t offset) const;
  /// How much of the image isn't a hole. lseek(2), SEEK_DATA
  uint64_t data_size() const;
  /// Is the file still what it was when it was opened? What was learned of it holds only then.
  bool unchanged() const;

 private:
  UniqueFd fd_;
  uint64_t start_ = 0;
  uint64_t size_ = 0;
  struct stat attr_ = {};
  std::shared_ptr<ImageOuter> outer_;
};

}  // namespace viewsh
