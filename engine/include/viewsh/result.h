#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace viewsh {

/// A positive errno value as Linux numbers them; 0 means success. errno(3).
class Errno {
 public:
  constexpr Errno() = default;
  constexpr explicit Errno(int value) : value_(value) {}
  /// The calling thread's errno.
  static Errno last() { return Errno(errno); }
  constexpr int value() const { return value_; }
  constexpr bool operator==(const Errno&) const = default;
  constexpr bool operator==(int value) const { return value_ == value; }
  std::string message() const { return strerror(value_); }

 private:
  int value_ = 0;
};

/// A value or an Errno. The error of a tracee's call travels up in it and is negated once, where
/// the call is answered.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT
  Result(Errno error) : state_(std::in_place_index<1>, error) {}         // NOLINT
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  Errno error() const { return ok() ? Errno() : *std::get_if<1>(&state_); }
  T& value() { return *std::get_if<0>(&state_); }
  const T& value() const { return *std::get_if<0>(&state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Errno> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Errno error) : error_(error) {}  // NOLINT
  bool ok() const { return error_ == 0; }
  explicit operator bool() const { return ok(); }
  Errno error() const { return error_; }

 private:
  Errno error_;
};

/// Turns the -1-and-errno convention of libc into a Result.
inline Result<void> from_libc(int rc) {
  if (rc < 0) return Errno::last();
  return {};
}

#define VIEWSH_CONCAT2(a, b) a##b
#define VIEWSH_CONCAT(a, b) VIEWSH_CONCAT2(a, b)
/// TRY(expr): returns the error of a Result<void> to the caller.
#define TRY(expr)                                                                             \
  do {                                                                                        \
    if (auto try_result_ = (expr); !try_result_) return ::viewsh::Errno(try_result_.error()); \
  } while (false)
/// TRY_ASSIGN(lhs, expr): lhs gets the value, or the error is returned to the caller.
#define TRY_ASSIGN(lhs, expr) TRY_ASSIGN_IMPL(VIEWSH_CONCAT(try_tmp_, __LINE__), lhs, expr)
#define TRY_ASSIGN_IMPL(tmp, lhs, expr)          \
  auto tmp = (expr);                             \
  if (!tmp) return ::viewsh::Errno(tmp.error()); \
  lhs = std::move(*tmp)

}  // namespace viewsh
