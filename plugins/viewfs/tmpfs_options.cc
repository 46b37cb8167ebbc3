#include "tmpfs_options.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace viewsh {
namespace {

constexpr uint64_t kPage = 4096;

std::optional<uint64_t> parse_number(std::string_view text, int base) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool own_group(gid_t gid, const Credentials* as) {
  if (as != nullptr) return gid == as->egid;
  if (gid == ::getegid() || gid == ::getgid()) return true;
  int count = ::getgroups(0, nullptr);
  if (count <= 0) return false;
  std::vector<gid_t> groups(static_cast<size_t>(count));
  count = ::getgroups(count, groups.data());
  return std::find(groups.begin(), groups.begin() + std::max(count, 0), gid) !=
         groups.begin() + std::max(count, 0);
}

/// `as`: who the user is in the view, whose own that then is.
std::string check_owner(std::string_view key, const std::string& value, const Credentials* as) {
  std::optional<uint64_t> id = parse_number(value, 10);
  std::string said = std::string(key) + "=" + value + ": ";
  if (!id || *id > UINT32_MAX) return said + "not a number";
  const uid_t self = as != nullptr ? as->euid : ::geteuid();
  bool own =
      key == "uid" ? static_cast<uid_t>(*id) == self : own_group(static_cast<gid_t>(*id), as);
  return own ? std::string() : said + "only your own can be given without root";
}

std::string parse_one(const std::string& key, const std::string& value, const Credentials* as,
                      TmpfsOptions* out) {
  std::string said = key + "=" + value + ": ";
  if (key == "size" || key == "nr_blocks") {
    std::optional<uint64_t> size = parse_size(value, memory_size());
    if (!size || *size > (uint64_t{1} << 62)) return said + "not a size";
    bool bytes = key == "size";
    if (!bytes && *size > (uint64_t{1} << 50)) return said + "not a size";
    out->size = bytes ? (*size + kPage - 1) / kPage * kPage : *size * kPage;
  } else if (key == "nr_inodes") {
    std::optional<uint64_t> count = parse_size(value, 0);
    if (!count || value.find('%') != std::string::npos) return said + "not a number";
    out->inodes = *count;
  } else if (key == "mode") {
    std::optional<uint64_t> mode = parse_number(value, 8);
    if (!mode || *mode > 07777) return said + "not an octal mode";
    out->mode = static_cast<mode_t>(*mode);
  } else if (key == "uid" || key == "gid") {
    return check_owner(key, value, as);
  } else if (key == "ro") {
    out->read_only = true;
  }
  return {};
}

}  // namespace

uint64_t memory_size() {
  struct sysinfo info;
  if (::sysinfo(&info) < 0) return 0;
  return uint64_t{info.totalram} * info.mem_unit;
}

std::optional<uint64_t> parse_size(std::string_view text, uint64_t ram) {
  if (text.empty()) return std::nullopt;
  constexpr std::string_view kUnits = "kmgt";
  char last = text.back();
  if (last >= 'A' && last <= 'Z') last = static_cast<char>(last - 'A' + 'a');
  size_t unit = kUnits.find(last);
  bool percent = last == '%';
  if (unit != std::string_view::npos || percent) text.remove_suffix(1);
  std::optional<uint64_t> value = parse_number(text, 10);
  if (!value) return std::nullopt;
  if (percent) {
    if (*value > 1000) return std::nullopt;
    return ram / 100 * *value;
  }
  unsigned shift = unit == std::string_view::npos ? 0 : 10 * (static_cast<unsigned>(unit) + 1);
  if (*value > UINT64_MAX >> shift) return std::nullopt;
  return *value << shift;
}

std::string parse_tmpfs_options(const std::map<std::string, std::string>& options,
                                TmpfsOptions* out, const Credentials* as) {
  for (const auto& [key, value] : options) {
    std::string refused = parse_one(key, value, as, out);
    if (!refused.empty()) return refused;
  }
  return {};
}

}  // namespace viewsh
