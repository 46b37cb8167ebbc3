#include "cli/terminal.h"

#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>

namespace viewsh {

bool colour_wanted(int fd) {
  const char* no_color = getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return isatty(fd) == 1;
}

std::string coloured(std::string_view text, Colour colour, bool wanted) {
  if (!wanted || colour == Colour::kNone) return std::string(text);
  const char* code = "1";
  if (colour == Colour::kRed) code = "31";
  if (colour == Colour::kGreen) code = "32";
  if (colour == Colour::kYellow) code = "33";
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

bool can_ask() {
  return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 &&
         tcgetpgrp(STDIN_FILENO) == getpgrp();
}

char ask(std::string_view question) {
  fwrite(question.data(), 1, question.size(), stderr);
  fflush(stderr);
  char answer = 0;
  int c = 0;
  while ((c = getchar()) != EOF && c != '\n') {
    if (answer == 0 && isspace(c) == 0) answer = static_cast<char>(tolower(c));
  }
  if (c == EOF) fputc('\n', stderr);
  return answer;
}

}  // namespace viewsh
