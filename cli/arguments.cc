#include "cli/arguments.h"

#include "cli/text.h"

namespace viewsh {
namespace {

/// An option word: "--name", "--name=value", "-n" or "-nVALUE".
struct Word {
  std::string name;
  std::string value;
  bool has_value = false;
};

Word take_apart(const std::string& word) {
  if (word[1] != '-') return {word.substr(0, 2), word.substr(2), word.size() > 2};
  size_t equals = word.find('=');
  if (equals == std::string::npos) return {word, "", false};
  return {word.substr(0, equals), word.substr(equals + 1), true};
}

}  // namespace

UserError split_arguments(const std::vector<std::string>& words, bool command,
                          const std::function<OptionKind(const std::string&)>& kind_of,
                          const std::vector<std::string>& known, Arguments* out) {
  auto rest_from = [&](size_t first) {
    out->rest.insert(out->rest.end(), words.begin() + static_cast<ptrdiff_t>(first), words.end());
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") {
      rest_from(i + 1);
      return {};
    }
    if (words[i].size() < 2 || words[i][0] != '-') {
      if (command) {
        rest_from(i);
        return {};
      }
      out->rest.push_back(words[i]);
      continue;
    }
    Word word = take_apart(words[i]);
    OptionKind kind = kind_of(word.name);
    if (kind == OptionKind::kUnknown) {
      return {printable(word.name) + ": unknown option" + did_you_mean(word.name, known)};
    }
    if (kind == OptionKind::kFlag && word.has_value) return {word.name + ": takes no value"};
    out->options.push_back(word.name);
    if (kind == OptionKind::kFlag) continue;
    if (kind == OptionKind::kValue && !word.has_value) {
      if (++i == words.size()) return {word.name + ": needs a value"};
      word.value = words[i];
    }
    out->options.push_back(word.value);
  }
  return {};
}

}  // namespace viewsh
