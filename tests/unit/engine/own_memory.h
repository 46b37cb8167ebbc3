#pragma once

#include <cstring>

#include "tracee/memory.h"

namespace viewsh {

/// This process's own memory.
class OwnMemory : public TraceeMemory {
 public:
  Result<size_t> read_some(uint64_t address, void* to, size_t size) const override {
    memcpy(to, reinterpret_cast<const void*>(address), size);
    return size;
  }
  Result<void> write(uint64_t, const void*, size_t) const override { return Errno(EFAULT); }
};

}  // namespace viewsh
