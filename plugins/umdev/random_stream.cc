#include "random_stream.h"

#include <bit>

namespace viewsh {
namespace {

uint64_t split_mix(uint64_t* state) {
  *state += 0x9e3779b97f4a7c15U;
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

}  // namespace

RandomStream::RandomStream(uint64_t seed, uint64_t number) : state_{} {
  uint64_t mixed = split_mix(&seed) ^ number;
  for (uint64_t& word : state_) word = split_mix(&mixed);
}

uint64_t RandomStream::next() {
  uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

void RandomStream::fill(unsigned char* out, size_t size) {
  for (size_t at = 0; at < size;) {
    uint64_t word = next();
    for (unsigned i = 0; i < 8 && at < size; ++i)
      out[at++] = static_cast<unsigned char>(word >> (8 * i));  // the same on any machine
  }
}

}  // namespace viewsh
