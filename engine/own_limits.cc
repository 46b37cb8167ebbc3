#include "own_limits.h"

#include <sys/resource.h>

namespace viewsh {

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  // Fewer descriptors only mean that a view with very many processes gets slower.
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace viewsh
