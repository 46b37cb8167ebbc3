#include "node_attr.h"

#include <time.h>

#include <charconv>

namespace viewsh {

Attr node_attr(mode_t type, mode_t permissions, unsigned major, unsigned minor) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  struct statx_timestamp stamp = {};
  stamp.tv_sec = now.tv_sec;
  stamp.tv_nsec = static_cast<uint32_t>(now.tv_nsec);
  Attr attr{};
  attr.stx_mask = STATX_BASIC_STATS;
  attr.stx_blksize = 4096;
  attr.stx_nlink = 1;
  attr.stx_mode = static_cast<uint16_t>(type | permissions);
  attr.stx_atime = attr.stx_mtime = attr.stx_ctime = stamp;
  attr.stx_rdev_major = major;
  attr.stx_rdev_minor = minor;
  return attr;
}

unsigned trailing_number(std::string_view path) {
  size_t last = path.find_last_not_of("0123456789");
  std::string_view digits = last == std::string_view::npos ? path : path.substr(last + 1);
  unsigned value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  constexpr unsigned kMaxMinor = (1U << 20) - 1;
  return error == std::errc() && value <= kMaxMinor ? value : 0;
}

bool option_mode(const DeviceRequest& request, mode_t standard, mode_t* out) {
  *out = standard;
  auto option = request.options.find("mode");
  if (option == request.options.end()) return true;
  const std::string& text = option->second;
  unsigned value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size() || value > 07777) return false;
  *out = value;
  return true;
}

}  // namespace viewsh
