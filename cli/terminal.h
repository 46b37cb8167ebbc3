#pragma once

#include <string>
#include <string_view>

namespace viewsh {

/// Colours of the listings.
enum class Colour { kNone, kRed, kGreen, kYellow, kBold };

/// Is the descriptor a terminal that takes colour, and NO_COLOR unset or empty?
/// https://no-color.org
bool colour_wanted(int fd);
/// `text` in a colour if `wanted`.
std::string coloured(std::string_view text, Colour colour, bool wanted);

/// Can the user be asked: standard input and standard error are a terminal, and this process is in
/// its foreground?
bool can_ask();
/// Puts a question on standard error and reads a line; its first letter in lower case, 0 for an
/// empty line or the end of input.
char ask(std::string_view question);

}  // namespace viewsh
