#include "base/check.h"

#include <unistd.h>

#include <cstdlib>

namespace viewsh {

void complain(const std::string& text) {
  std::string line = "viewsh: " + text + "\n";
  // Standard error may be closed; there is nobody left to tell then.
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  complain(std::string("bug: ") + file + ":" + std::to_string(line) + ": " + condition + ": " +
           detail);
  abort();
}

}  // namespace viewsh
