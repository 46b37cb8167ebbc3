// FUSE replies of random bytes; VIEWSH_FUZZ_ROUNDS and VIEWSH_FUZZ_SEED say how many and which.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <vector>

#include "fuzz.h"

namespace viewsh {
namespace {

unsigned number_from(const char* variable, unsigned usual) {
  const char* text = getenv(variable);
  return text == nullptr ? usual : static_cast<unsigned>(strtoul(text, nullptr, 10));
}

TEST(FuseFuzz, EndsAndCrashesNothing) {
  const unsigned rounds = number_from("VIEWSH_FUZZ_ROUNDS", 800);
  const unsigned seed = number_from("VIEWSH_FUZZ_SEED", 1);
  for (unsigned round = 0; round < rounds; ++round) {
    SCOPED_TRACE(seed + round);
    std::mt19937 random(seed + round);
    std::vector<uint8_t> bytes(100 + random() % 4000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    const auto start = std::chrono::steady_clock::now();
    fuse_fuzz_one(bytes.data(), bytes.size());
    ASSERT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  }
}

}  // namespace
}  // namespace viewsh
