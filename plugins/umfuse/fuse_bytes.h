#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace viewsh {

/// A structure of the protocol as the bytes that are sent. Borrowed.
template <typename T>
std::string_view fuse_bytes(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <typename T>
std::string_view fuse_bytes(const T&& value) = delete;

/// A structure at `offset` of what was received; aligned or not. False: it isn't all there.
template <typename T>
bool fuse_get(std::string_view from, size_t offset, T* value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (from.size() < offset || from.size() - offset < sizeof *value) return false;
  std::memcpy(value, from.data() + offset, sizeof *value);
  return true;
}

/// The same for a structure of which an older protocol has only the first `size` bytes; the rest is
/// zero.
template <typename T>
bool fuse_get_old(std::string_view from, size_t offset, size_t size, T* value) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (size > sizeof *value || from.size() < offset || from.size() - offset < size) return false;
  *value = {};
  std::memcpy(value, from.data() + offset, size);
  return true;
}

}  // namespace viewsh
