#include "file_time.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace viewsh::viewfs {
namespace {

constexpr size_t kDigits = 9;  // of nanoseconds in a second

bool number(std::string_view digits, uint64_t* out) {
  if (digits.empty() ||
      !std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return false;
  }
  const auto done = std::from_chars(digits.data(), digits.data() + digits.size(), *out);
  return done.ec == std::errc();
}

}  // namespace

std::string FileTime::text() const {
  // What is before the epoch is counted back from it.
  const bool before = sec < 0;
  const uint64_t whole = before ? 0 - static_cast<uint64_t>(sec) : static_cast<uint64_t>(sec);
  const uint64_t seconds = whole - (before && nsec > 0 ? 1 : 0);
  const uint64_t rest = before && nsec > 0 ? kSecond - nsec : nsec;
  if (seconds == 0) return (before ? "-" : "") + std::to_string(rest);
  char fraction[16];
  snprintf(fraction, sizeof fraction, "%09u", static_cast<unsigned>(rest));
  return (before ? "-" : "") + std::to_string(seconds) + fraction;
}

bool FileTime::parse(std::string_view text, FileTime* out) {
  const bool before = text.starts_with('-');
  if (before) text.remove_prefix(1);
  const size_t cut = text.size() > kDigits ? text.size() - kDigits : 0;
  uint64_t seconds = 0;
  uint64_t rest = 0;
  if (cut > 0 && !number(text.substr(0, cut), &seconds)) return false;
  if (!number(text.substr(cut), &rest) || seconds >= static_cast<uint64_t>(INT64_MAX)) return false;
  const auto signed_seconds = static_cast<int64_t>(seconds);
  if (!before) {
    *out = {signed_seconds, static_cast<uint32_t>(rest)};
  } else if (rest == 0) {
    *out = {-signed_seconds, 0};
  } else {
    *out = {-signed_seconds - 1, static_cast<uint32_t>(kSecond - static_cast<int64_t>(rest))};
  }
  return true;
}

}  // namespace viewsh::viewfs
