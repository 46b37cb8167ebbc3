#include "cli/expand.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <climits>
#include <cstdlib>

#include "base/path.h"

namespace viewsh {
namespace {

bool is_name_start(char c) { return c == '_' || isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_name_char(char c) { return c == '_' || isalnum(static_cast<unsigned char>(c)) != 0; }

size_t name_length(std::string_view text) {
  if (text.empty() || !is_name_start(text[0])) return 0;
  size_t length = 1;
  while (length < text.size() && is_name_char(text[length])) ++length;
  return length;
}

/// Where the brace that opens before `start` is closed.
size_t closing_brace(std::string_view text, size_t start) {
  int depth = 1;
  for (size_t i = start; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

/// The shell's name of the working directory, if it still is one; else the kernel's.
std::string logical_working_directory() {
  const char* name = getenv("PWD");
  struct stat named {};
  struct stat real {};
  bool same = name != nullptr && name[0] == '/' && stat(name, &named) == 0 &&
              stat(".", &real) == 0 && named.st_dev == real.st_dev && named.st_ino == real.st_ino;
  return same ? name : working_directory();
}

UserError lookup(const std::string& name, bool has_default, std::string_view fallback,
                 std::string* out) {
  if (name == "PWD") {
    *out += logical_working_directory();
    return {};
  }
  const char* value = getenv(name.c_str());
  if (value != nullptr && (*value != '\0' || !has_default)) {
    *out += value;
    return {};
  }
  if (has_default) {
    std::string expanded;
    UserError error = expand_variables(fallback, &expanded);
    *out += expanded;
    return error;
  }
  if (name == "HOME") {
    *out += home_directory();
    return {};
  }
  return {"the variable " + name + " is not set; give a default as ${" + name + ":-...}"};
}

/// Expands the ${...} whose content starts at `*at`, which moves behind it.
UserError expand_braced(std::string_view text, size_t* at, std::string* out) {
  size_t end = closing_brace(text, *at);
  if (end == std::string_view::npos) return {"'${' is not closed by '}'"};
  std::string_view inside = text.substr(*at, end - *at);
  size_t length = name_length(inside);
  std::string_view rest = inside.substr(length);
  if (length == 0 || !(rest.empty() || rest.substr(0, 2) == ":-")) {
    return {"'${" + std::string(inside) + "}' must be ${NAME} or ${NAME:-default}"};
  }
  *at = end + 1;
  return lookup(std::string(inside.substr(0, length)), !rest.empty(),
                rest.empty() ? rest : rest.substr(2), out);
}

}  // namespace

std::string home_directory() {
  const char* home = getenv("HOME");
  if (home != nullptr && *home != '\0') return home;
  const passwd* user = getpwuid(getuid());
  return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "/";
}

std::string working_directory() {
  std::array<char, PATH_MAX> buffer{};
  const char* path = getcwd(buffer.data(), buffer.size());
  return path != nullptr && path[0] == '/' ? path : "/";
}

UserError expand_variables(std::string_view text, std::string* out) {
  for (size_t i = 0; i < text.size();) {
    std::string_view rest = text.substr(i + 1);
    size_t length = name_length(rest);
    if (text[i] != '$' || rest.empty()) {
      *out += text[i++];
    } else if (rest[0] == '$') {
      *out += '$';
      i += 2;
    } else if (rest[0] == '{') {
      i += 2;
      if (UserError error = expand_braced(text, &i, out)) return error;
    } else if (length > 0) {
      if (UserError error = lookup(std::string(rest.substr(0, length)), false, "", out)) {
        return error;
      }
      i += 1 + length;
    } else {
      *out += text[i++];
    }
  }
  return {};
}

std::string expand_tilde(std::string_view path) {
  if (path == "~" || path.substr(0, 2) == "~/") {
    return home_directory() + std::string(path.substr(1));
  }
  return std::string(path);
}

std::string absolute_view_path(std::string_view path, std::string_view folder) {
  if (!path.empty() && path[0] == '/') return lexically_normal(path);
  return lexically_normal(std::string(folder) + "/" + std::string(path));
}

std::string absolute_host_path(std::string_view path, std::string_view folder) {
  std::string full(path);
  if (full.empty() || full[0] != '/') full = std::string(folder) + "/" + full;
  size_t last = std::string::npos;
  for (size_t at = full.find("/.."); at != std::string::npos; at = full.find("/..", at + 1)) {
    if (at + 3 == full.size() || full[at + 3] == '/') last = at + 3;
  }
  if (last == std::string::npos) return lexically_normal(full);
  std::array<char, PATH_MAX> buffer{};
  if (realpath(full.substr(0, last).c_str(), buffer.data()) == nullptr) {
    return lexically_normal(full);
  }
  return lexically_normal(std::string(buffer.data()) + full.substr(last));
}

}  // namespace viewsh
