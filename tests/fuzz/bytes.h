#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace viewsh {

/// The bytes of a fuzzer as decisions: what they say next, and zeros at their end.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool over() const { return size_ == 0; }
  uint8_t one() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::string some(size_t count) {
    std::string out(reinterpret_cast<const char*>(data_), std::min(count, size_));
    data_ += out.size();
    size_ -= out.size();
    return out;
  }
  std::string rest() { return some(size_); }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace viewsh
