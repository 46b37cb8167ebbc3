#include "op.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace viewsh_model {

std::string escape(std::string_view word) {
  if (word.empty()) return "%";
  std::string out;
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%') {
      out += c;
    } else {
      char text[4];
      std::snprintf(text, sizeof(text), "%%%02X", byte);
      out += text;
    }
  }
  return out;
}

std::string unescape(std::string_view word) {
  if (word == "%") return "";
  std::string out;
  for (size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '%' && i + 2 < word.size()) {
      const std::string digits(word.substr(i + 1, 2));
      out += static_cast<char>(std::strtoul(digits.c_str(), nullptr, 16));
      i += 2;
    } else {
      out += word[i];
    }
  }
  return out;
}

std::string format(const Op& op) {
  std::string out = op.verb;
  for (const std::string& arg : op.args) out += " " + escape(arg);
  return out;
}

Op parse(std::string_view line) {
  Op op;
  std::istringstream words{std::string(line)};
  words >> op.verb;
  for (std::string word; words >> word;) op.args.push_back(unescape(word));
  return op;
}

std::string format(const Script& script) {
  std::string out;
  for (const Op& op : script) out += format(op) + "\n";
  return out;
}

Script parse_script(const std::string& text) {
  Script script;
  for (const std::string& line : lines_of(text)) {
    if (!line.empty() && line[0] != '#') script.push_back(parse(line));
  }
  return script;
}

std::vector<Script> phases(const Script& script) {
  std::vector<Script> out(1);
  for (const Op& op : script) {
    if (op.verb == "restart") {
      out.emplace_back();
    } else {
      out.back().push_back(op);
    }
  }
  return out;
}

void die(const std::string& what) {
  std::fflush(stdout);
  std::fprintf(stderr, "model: %s\n", what.c_str());
  std::exit(2);
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) die("can't read " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) die("can't write " + path + ": " + std::strerror(errno));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

}  // namespace viewsh_model
