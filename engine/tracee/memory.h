#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "viewsh/result.h"

namespace viewsh {

/// An address in a tracee; can't be dereferenced here. `T` is what lies there.
template <typename T>
struct Addr {
  uint64_t value = 0;
  explicit operator bool() const { return value != 0; }
};

/// A tracee's memory. An interface, so that handlers can be tested without a process.
/// Errors: EFAULT.
class TraceeMemory {
 public:
  virtual ~TraceeMemory() = default;
  /// Reads up to `size` bytes; the number read, which is less where unmapped memory begins.
  virtual Result<size_t> read_some(uint64_t address, void* to, size_t size) const = 0;
  virtual Result<void> write(uint64_t address, const void* from, size_t size) const = 0;

  Result<void> read(uint64_t address, void* to, size_t size) const;
  /// A NUL-terminated text of less than `limit` bytes; ENAMETOOLONG if there is no NUL.
  Result<std::string> read_string(uint64_t address, size_t limit) const;
  template <typename T>
  Result<T> get(uint64_t address) const {
    T value{};
    TRY(read(address, &value, sizeof value));
    return value;
  }
  template <typename T>
  Result<void> put(uint64_t address, const T& value) const {
    return write(address, &value, sizeof value);
  }
};

/// The memory of a real process, by process_vm_readv(2) and process_vm_writev(2).
class ProcessMemory : public TraceeMemory {
 public:
  explicit ProcessMemory(pid_t tid) : tid_(tid) {}
  Result<size_t> read_some(uint64_t address, void* to, size_t size) const override;
  Result<void> write(uint64_t address, const void* from, size_t size) const override;

 private:
  pid_t tid_;
};

}  // namespace viewsh
