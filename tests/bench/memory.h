#pragma once

#include <string>

#include "report.h"

namespace bench {

/// Starts `bench --tasks N` in the wrapper and reads VmHWM of the process that traces it. proc(5).
Memory measure_memory(const Wrapper& wrapper, int tasks, const std::string& self,
                      const Scratch& scratch);

}  // namespace bench
