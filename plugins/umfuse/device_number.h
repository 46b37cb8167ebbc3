#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace viewsh {

/// A device number (minor, of major 0) of its own, and the same each time that the same view is
/// made: layers remember it. `texts` say which mount it is. In a range that the kernel's own
/// nameless devices don't get to.
uint32_t device_number(std::initializer_list<const std::string*> texts);

}  // namespace viewsh
