#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "viewsh/exec_format.h"

namespace viewsh {

/// The rules of binfmt_misc in user space: by file name extension, or by magic bytes under a mask.
/// What is accepted is what the kernel accepts: Documentation/admin-guide/binfmt-misc.rst and
/// fs/binfmt_misc.c. A name is given once; the newest matching rule wins.
class FormatRegistry final : public ExecFormats {
 public:
  /// The bytes of a program's start in which a magic has to lie, by the documentation.
  static constexpr size_t kHeadBytes = 128;
  static constexpr size_t kMaxInterpreter = 127;

  std::string add(const ExecFormatSpec& spec) override;
  /// A program shorter than the magic matches as if zeros followed, as in the kernel.
  std::optional<ExecMatch> match(std::string_view path, std::string_view head) const override;

 private:
  std::vector<ExecFormatSpec> rules_;  ///< oldest first
};

}  // namespace viewsh
