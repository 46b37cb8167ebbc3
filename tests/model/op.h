#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace viewsh_model {

/// One operation of a script: a line of words, the first of which names it. Words are escaped as
/// %XX, so that any file name fits in; the empty word is a lone %.
struct Op {
  std::string verb;
  std::vector<std::string> args;
};

using Script = std::vector<Op>;

std::string escape(std::string_view word);
std::string unescape(std::string_view word);
std::string format(const Op& op);
Op parse(std::string_view line);
/// One line for each operation.
std::string format(const Script& script);
Script parse_script(const std::string& text);

/// The phases of a script: it is cut at each `restart`, where the process ends and another goes on.
std::vector<Script> phases(const Script& script);

/// Ends the program with status 2: the test itself could not do what it had to.
[[noreturn]] void die(const std::string& what);
std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
std::vector<std::string> lines_of(const std::string& text);

}  // namespace viewsh_model
