#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine.h"
#include "nlohmann/json.hpp"

namespace viewsh {

/// JSON with keys in the order in which they were written.
using Json = nlohmann::ordered_json;

/// The known name nearest to `word`, or empty if none is near enough to be what was meant.
std::string near_miss(std::string_view word, const std::vector<std::string>& known);
/// "; did you mean 'NAME'?" or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

/// The name with control characters as \n, \t, \xHH, so that a file name can't drive a terminal.
std::string printable(std::string_view name);
/// "17", "4.2K", "1.0G": powers of 1024.
std::string human_size(uint64_t bytes);
/// "1 change", "2 changes".
std::string counted(uint64_t number, std::string_view one, std::string_view many);
/// Seconds since the epoch as local "2022-01-31 12:00"; "-" for 0.
std::string local_time(int64_t seconds);
/// items joined by `separator`.
std::string join(const std::vector<std::string>& items, std::string_view separator);
/// The parts between separators; a backslash before a separator or a backslash takes it literally.
std::vector<std::string> split_escaped(std::string_view text, char separator);

/// Rows in columns as wide as their widest cell, two spaces apart; the last one is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// JSON, indented, with a newline at the end. Bytes that are not UTF-8 become U+FFFD.
std::string json_text(const Json& value);

/// Writes to standard output.
void print(std::string_view text);
/// Writes "viewsh: TEXT" and a newline to standard error.
void print_error(std::string_view text);
/// print_error and the status to exit with.
int fail_with(const UserError& error);

}  // namespace viewsh
