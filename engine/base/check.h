#pragma once

#include <string>

namespace viewsh {

/// Prints "viewsh: bug: ..." with the place and ends this engine (and with it its view).
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& detail);

/// One line "viewsh: text" on standard error.
void complain(const std::string& text);

}  // namespace viewsh

/// A condition that only our own mistake can break.
#define CHECK(condition, detail)                                                      \
  do {                                                                                \
    if (!(condition)) ::viewsh::check_failed(__FILE__, __LINE__, #condition, detail); \
  } while (false)
