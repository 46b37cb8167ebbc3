#include "registry.h"

#include <algorithm>

namespace viewsh {
namespace {

std::string check_name(const std::string& name) {
  if (name.empty()) return "a name is needed";
  if (name == "." || name == ".." || name == "register" || name == "status")
    return name + ": this name is reserved";
  if (name.find('/') != std::string::npos) return name + ": a name can't have a '/'";
  if (name.find('\0') != std::string::npos) return "a name can't have a zero byte";
  return {};
}

std::string check_magic(const ExecFormatSpec& spec) {
  constexpr size_t kHead = FormatRegistry::kHeadBytes;
  if (!spec.mask.empty() && spec.mask.size() != spec.magic.size())
    return "mask: has " + std::to_string(spec.mask.size()) + " bytes, the magic has " +
           std::to_string(spec.magic.size());
  if (spec.magic.size() > kHead || spec.offset > kHead - spec.magic.size())
    return "magic: has to lie in the first " + std::to_string(kHead) + " bytes (offset " +
           std::to_string(spec.offset) + ", length " + std::to_string(spec.magic.size()) + ")";
  return {};
}

std::string check_extension(const ExecFormatSpec& spec) {
  if (spec.extension.find('/') != std::string::npos)
    return "extension: can't have a '/': " + spec.extension;
  if (spec.extension[0] == '.')
    return "extension: is given without the dot: " + spec.extension.substr(1);
  // What follows the last dot is compared.
  if (spec.extension.find('.') != std::string::npos)
    return "extension: can't have a dot: " + spec.extension;
  if (!spec.mask.empty()) return "mask: belongs to a magic, this rule has an extension";
  if (spec.offset != 0) return "offset: belongs to a magic, this rule has an extension";
  return {};
}

std::string check_interpreter(const std::string& interpreter) {
  if (interpreter.empty()) return "interpreter: is needed";
  if (interpreter[0] != '/') return "interpreter: is not an absolute path: " + interpreter;
  if (interpreter.size() > FormatRegistry::kMaxInterpreter)
    return "interpreter: is longer than " + std::to_string(FormatRegistry::kMaxInterpreter) +
           " bytes";
  return {};
}

std::string check(const ExecFormatSpec& spec) {
  if (spec.magic.empty() && spec.extension.empty()) return "a magic or an extension is needed";
  if (!spec.magic.empty() && !spec.extension.empty())
    return "a magic and an extension exclude each other";
  std::string refused = spec.magic.empty() ? check_extension(spec) : check_magic(spec);
  if (!refused.empty()) return refused;
  refused = check_interpreter(spec.interpreter);
  if (!refused.empty()) return refused;
  size_t unknown = spec.flags.find_first_not_of("POCF");
  if (unknown != std::string::npos)
    return "flags: '" + spec.flags.substr(unknown, 1) + "' is none of P O C F";
  return {};
}

bool extension_matches(const ExecFormatSpec& rule, std::string_view path) {
  size_t dot = path.rfind('.');
  return dot != std::string_view::npos && path.substr(dot + 1) == rule.extension;
}

bool magic_matches(const ExecFormatSpec& rule, std::string_view head) {
  for (size_t i = 0; i < rule.magic.size(); ++i) {
    size_t at = rule.offset + i;
    unsigned seen = at < head.size() ? static_cast<unsigned char>(head[at]) : 0U;
    unsigned wanted = static_cast<unsigned char>(rule.magic[i]);
    unsigned mask = rule.mask.empty() ? 0xffU : static_cast<unsigned char>(rule.mask[i]);
    if (((seen ^ wanted) & mask) != 0) return false;
  }
  return true;
}

}  // namespace

std::string FormatRegistry::add(const ExecFormatSpec& spec) {
  std::string refused = check_name(spec.name);
  if (!refused.empty()) return refused;
  refused = check(spec);
  if (!refused.empty()) return spec.name + ": " + refused;
  auto same = [&](const ExecFormatSpec& rule) { return rule.name == spec.name; };
  if (std::any_of(rules_.begin(), rules_.end(), same))
    return spec.name + ": a rule of this name exists";
  rules_.push_back(spec);
  return {};
}

std::optional<ExecMatch> FormatRegistry::match(std::string_view path, std::string_view head) const {
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    bool hit = rule->magic.empty() ? extension_matches(*rule, path) : magic_matches(*rule, head);
    if (!hit) continue;
    return ExecMatch{rule->interpreter, rule->flags.find('P') != std::string::npos};
  }
  return std::nullopt;
}

}  // namespace viewsh
