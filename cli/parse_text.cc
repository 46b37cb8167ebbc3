#include "cli/parse_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "cli/text.h"

namespace viewsh {
namespace {

bool is_size_option(std::string_view text) {
  if (!text.empty() && text.back() == '%') {
    auto percent = parse_number(text.substr(0, text.size() - 1));
    return percent.has_value() && *percent > 0 && *percent <= 100;
  }
  return parse_size(text).has_value();
}

bool is_mode(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("01234567") == std::string_view::npos;
}

std::string check_flags(std::string_view type, const std::map<std::string, std::string>& options) {
  for (const auto& [name, value] : options) {
    if (name != "ro" && name != "rw") {
      return "'" + name + "' is no option of " + std::string(type) + "; known: ro, rw";
    }
    if (!value.empty()) return "'" + name + "' takes no value";
  }
  return "";
}

std::string check_tmpfs(const std::map<std::string, std::string>& options) {
  if (auto it = options.find("size"); it != options.end() && !is_size_option(it->second)) {
    return "size must be a size such as 64M, not '" + it->second + "'";
  }
  if (auto it = options.find("mode"); it != options.end() && !is_mode(it->second)) {
    return "mode must be octal such as 1777, not '" + it->second + "'";
  }
  return "";
}

}  // namespace

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto number = parse_number(text.substr(0, digits));
  std::string_view unit = text.substr(digits);
  if (!number) return std::nullopt;
  if (unit.empty()) return number;
  constexpr std::string_view kUnits = "KMGT";
  size_t power = kUnits.find(static_cast<char>(unit[0] & ~0x20));
  if (power == std::string_view::npos) return std::nullopt;
  if (unit.size() > 1 && unit.substr(1) != "iB" && unit.substr(1) != "B") return std::nullopt;
  size_t shift = (power + 1) * 10;
  if (*number > (UINT64_MAX >> shift)) return std::nullopt;
  return *number << shift;
}

std::optional<std::string> parse_magic(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) >= 0x80) return std::nullopt;
    if (text[i] != '\\') {
      out += text[i];
    } else if (text.substr(i, 2) == "\\\\") {
      out += '\\';
      ++i;
    } else {
      unsigned value = 0;
      std::string_view hex = text.substr(i + 1);
      if (hex.size() < 3 || hex[0] != 'x') return std::nullopt;
      auto [stop, error] = std::from_chars(hex.data() + 1, hex.data() + 3, value, 16);
      if (error != std::errc() || stop != hex.data() + 3) return std::nullopt;
      out += static_cast<char>(value);
      i += 3;
    }
  }
  return out;
}

std::string magic_text(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    if (c > 0x20 && c < 0x7f && c != '\\') {
      out += c;
      continue;
    }
    std::array<char, 8> hex{};
    snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(c) & 0xFF);
    out += hex.data();
  }
  return out;
}

std::string parse_options(const std::vector<std::string>& items,
                          std::map<std::string, std::string>* options) {
  for (const std::string& item : items) {
    size_t equals = item.find('=');
    std::string name = item.substr(0, equals);
    if (name.empty()) return "an option needs a name, such as ro or size=64M";
    (*options)[name] = equals == std::string::npos ? "" : item.substr(equals + 1);
  }
  if (options->count("ro") != 0 && options->count("rw") != 0) return "ro and rw exclude each other";
  return "";
}

std::string check_mount_options(std::string_view type,
                                const std::map<std::string, std::string>& options) {
  if (type == "bind" || type == "merge") return check_flags(type, options);
  if (type == "tmpfs") return check_tmpfs(options);
  bool none = type == "hide" || type == "symlink";
  if (none && !options.empty()) return std::string(type) + " takes no options";
  if ((type == "cow" || type == "mincow") && !options.empty()) {
    return "'" + options.begin()->first + "' is no option of " + std::string(type) +
           "; known: except=PATH";
  }
  return "";
}

std::string check_layer_name(std::string_view name) {
  constexpr size_t kLongestName = 200;
  if (name.empty()) return "a layer needs a name";
  if (name.size() > kLongestName) return "the name of a layer is too long";
  if (name[0] == '.' || name[0] == '-') return "the name of a layer can't start with '.' or '-'";
  bool bad = std::any_of(name.begin(), name.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return c == '/' || byte <= 0x20 || byte == 0x7f;
  });
  return bad ? "the name of a layer can't have '/', spaces or control characters" : "";
}

std::string check_env_name(std::string_view name) {
  if (name.empty()) return "a variable needs a name";
  bool bad = name.find('=') != std::string_view::npos || name.find('\0') != std::string_view::npos;
  return bad ? "the name of a variable can't have '='" : "";
}

std::string parse_id(std::string_view text, uint32_t* out) {
  const auto number = parse_number(text);
  if (!number || *number >= UINT32_MAX)
    return "must be a number from 0 to " + std::to_string(UINT32_MAX - 1) + ", not '" +
           printable(text) + "'";
  *out = static_cast<uint32_t>(*number);
  return {};
}

std::string allow(const std::string& what, ViewSpec* spec) {
  if (what != "mount") return "must be mount, which is all that can be allowed";
  spec->allow_mount = true;
  return {};
}

}  // namespace viewsh
