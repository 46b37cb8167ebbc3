#include "device_number.h"

#include <set>

namespace viewsh {

uint32_t device_number(std::initializer_list<const std::string*> texts) {
  static std::set<uint32_t> taken;
  constexpr uint32_t kFirst = 0x80000;
  uint32_t hash = 2166136261U;  // FNV-1a
  for (const std::string* text : texts) {
    for (const char c : *text + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  uint32_t minor = kFirst + hash % kFirst;
  while (!taken.insert(minor).second) minor = kFirst + (minor + 1) % kFirst;
  return minor;
}

}  // namespace viewsh
