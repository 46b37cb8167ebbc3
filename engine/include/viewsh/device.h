#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "viewsh/filesystem.h"
#include "viewsh/result.h"

namespace viewsh {

/// An item of the profile's `devices`.
struct DeviceRequest {
  std::string path;  ///< absolute view path
  std::string type;  ///< one of Plugin::device_types()
  std::string source;
  uint64_t size = 0;  ///< bytes, 0: not given
  std::optional<uint64_t> seed;
  std::map<std::string, std::string> options;
};

/// A device node of the view. Each open ends in a kernel object, so that reads are native.
class Device {
 public:
  virtual ~Device() = default;
  /// stat(2) of the node: type and permissions in stx_mode, stx_rdev_*.
  virtual Attr attr() const = 0;
  /// A host path that the task opens in place of the node, with the flags that it gave.
  /// ("/dev/zero", or "/proc/ENGINE/fd/N" of an object that the plugin holds.)
  virtual Result<std::string> open(int flags) = 0;
  /// ioctl(2) on a descriptor of the device. ENOTTY: not known here.
  /// `argument` is the block's content of _IOC_SIZE bytes (or 8 for requests without a size), in
  /// and out.
  virtual Result<long> ioctl(unsigned request, std::string* argument) {
    (void)request;
    (void)argument;
    return Errno(ENOTTY);
  }
};

}  // namespace viewsh
