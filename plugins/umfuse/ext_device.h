#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "viewsh/result.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// The bytes under an image: positions are those of the file system, not of the file around it.
/// A test puts one that records between the image and its file.
class ExtDevice {
 public:
  virtual ~ExtDevice() = default;
  /// Bytes from the file system's first to the end of the file, or of its part.
  virtual uint64_t size() const = 0;
  /// All of it or EIO; what lies past size() is EIO.
  virtual Result<void> read(void* to, size_t size, uint64_t position) = 0;
  virtual Result<void> write(const void* from, size_t size, uint64_t position) = 0;
  /// Everything written so far survives a power cut. fdatasync(2).
  virtual Result<void> flush() = 0;
};

/// Who has the file around an image. Any thread may call.
class ExtAround {
 public:
  virtual ~ExtAround() = default;
  /// Bytes of the file were written, or an attempt to do that failed.
  virtual void wrote(uint64_t offset, uint64_t size) = 0;
  /// A part of each ExtDevice::flush().
  virtual Result<void> flush() = 0;
};

/// The device over `fd`, which stays the caller's: [offset, offset + limit), or to its end where
/// limit is 0. `around` may be null, and stays the caller's. EINVAL: it's neither a file nor a
/// block device, or offset is past its end.
Result<std::unique_ptr<ExtDevice>> ext_fd_device(int fd, uint64_t offset, uint64_t limit,
                                                 ExtAround* around = nullptr);

}  // namespace viewsh
