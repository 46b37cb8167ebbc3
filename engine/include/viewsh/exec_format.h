#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace viewsh {

/// An item of the profile's `binfmt`, as in the kernel's binfmt-misc documentation.
struct ExecFormatSpec {
  std::string name;
  std::string extension;  ///< type E: without the dot
  std::string magic;      ///< type M: raw bytes
  std::string mask;       ///< empty: all ones
  size_t offset = 0;
  std::string interpreter;  ///< absolute view path
  std::string flags;        ///< of P O C F
};

/// How a program is to be started instead.
struct ExecMatch {
  std::string interpreter;
  bool preserve_argv0 = false;  ///< flag P
};

/// A registry of executable formats. The newest rule that matches wins.
class ExecFormats {
 public:
  virtual ~ExecFormats() = default;
  /// An empty string, or why the rule is refused.
  virtual std::string add(const ExecFormatSpec& spec) = 0;
  /// `path` as the program was named, `head` its first bytes (up to 256).
  virtual std::optional<ExecMatch> match(std::string_view path, std::string_view head) const = 0;
};

}  // namespace viewsh
