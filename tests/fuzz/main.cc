// What libFuzzer calls; FUZZ_ONE is the function of this program.
#include <algorithm>
#include <cstdlib>

#include "fuzz.h"
#include "repair.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  viewsh::FUZZ_ONE(data, size);
  return 0;
}

#ifdef FUZZ_REPAIR
/// Most changes of a header would be noticed by its checksum alone; so that is mended, most times.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  const size_t now = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) viewsh::repair_checksums(data, now);
  return now;
}
#endif
