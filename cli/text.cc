#include "cli/text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace viewsh {
namespace {

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

size_t display_width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string near_miss(std::string_view word, const std::vector<std::string>& known) {
  constexpr size_t kLongestWord = 64;
  if (word.empty() || word.size() > kLongestWord) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, std::min<size_t>(word.size() / 3, 3)) + 1;
  for (const std::string& name : known) {
    size_t distance = edit_distance(word, name);
    if (distance < best_distance) {
      best_distance = distance;
      best = name;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  std::string name = near_miss(word, known);
  return name.empty() ? "" : "; did you mean '" + name + "'?";
}

std::string printable(std::string_view name) {
  std::string out;
  for (char c : name) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> hex{};
      snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(byte));
      out += hex.data();
    } else {
      out += c;
    }
  }
  return out;
}

std::string human_size(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes);
  constexpr std::string_view kUnits = "KMGTPE";
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (value /= 1024; value >= 1023.95 && unit + 1 < kUnits.size(); value /= 1024) ++unit;
  std::array<char, 32> text{};
  snprintf(text.data(), text.size(), "%.1f%c", value, kUnits[unit]);
  return text.data();
}

std::string counted(uint64_t number, std::string_view one, std::string_view many) {
  return std::to_string(number) + " " + std::string(number == 1 ? one : many);
}

std::string local_time(int64_t seconds) {
  if (seconds == 0) return "-";
  time_t when = seconds;
  tm parts{};
  if (localtime_r(&when, &parts) == nullptr) return "-";
  std::array<char, 64> text{};
  return std::string(text.data(), strftime(text.data(), text.size(), "%Y-%m-%d %H:%M", &parts));
}

std::string join(const std::vector<std::string>& items, std::string_view separator) {
  std::string out;
  for (const std::string& item : items) {
    if (&item != &items.front()) out += separator;
    out += item;
  }
  return out;
}

std::vector<std::string> split_escaped(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == separator || text[i + 1] == '\\');
    if (escape) {
      parts.back() += text[++i];
    } else if (text[i] == separator) {
      parts.emplace_back();
    } else {
      parts.back() += text[i];
    }
  }
  return parts;
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 2 - display_width(row[i]), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string json_text(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void print(std::string_view text) { fwrite(text.data(), 1, text.size(), stdout); }

void print_error(std::string_view text) {
  std::string line = "viewsh: " + std::string(text) + "\n";
  fwrite(line.data(), 1, line.size(), stderr);
}

int fail_with(const UserError& error) {
  print_error(error.text);
  return error.exit_status;
}

}  // namespace viewsh
