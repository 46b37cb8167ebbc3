#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace viewsh {

/// An endless, repeatable stream of bytes: xoshiro256** (Blackman and Vigna, 2018), its state
/// filled by splitmix64 from a seed and the number of the stream. For repeatability, not for
/// secrets.
class RandomStream {
 public:
  RandomStream(uint64_t seed, uint64_t number);
  /// `size` is a multiple of 8 in all calls but the last.
  void fill(unsigned char* out, size_t size);

 private:
  uint64_t next();
  std::array<uint64_t, 4> state_;
};

}  // namespace viewsh
