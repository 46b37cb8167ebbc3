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
/// What was answered to a question.
struct Reply {
  char letter = 0;  ///< the first one of the line in lower case; 0: an empty line, the end of input
  int signal = 0;   ///< SIGINT, SIGQUIT, SIGTERM or SIGHUP came instead
  bool end = false;  ///< there is no more input
};
/// Puts a question on standard error and reads a line. The terminal may stop the program (Ctrl-Z)
/// meanwhile.
Reply ask(std::string_view question);

}  // namespace viewsh
