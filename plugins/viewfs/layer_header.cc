// The file `layer`: the format's version, and what the layer was made for.
#include <algorithm>

#include "layer.h"
#include "layer_record.h"

namespace viewsh::viewfs {
namespace {

constexpr std::string_view kVersionLine = "viewsh-layer 1\n";
constexpr std::string_view kVersionWord = "viewsh-layer ";

std::optional<std::string> field(std::string_view text, std::string_view key) {
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view line = text.substr(at, end - at);
    if (line.substr(0, key.size()) == key) return unescape(line.substr(key.size()));
    at = end + 1;
  }
  return {};
}

}  // namespace

std::string header_text(const LayerHeader& header) {
  std::string over;
  for (const std::string& name : header.over) over += (over.empty() ? "" : "/") + name;
  std::string out(kVersionLine);
  out += "at " + escape(header.at) + "\nlower " + escape(header.lower) + "\n";
  if (!over.empty()) out += "over " + escape(over) + "\n";
  return out;
}

std::string parse_header(const std::string& text, LayerHeader* header) {
  if (!text.starts_with(kVersionWord)) return "is not a layer's version file";
  if (!text.starts_with(kVersionLine)) {
    const std::string version = text.substr(0, text.find('\n')).substr(kVersionWord.size());
    return "its format is version " + version + ", this viewsh knows version 1";
  }
  const auto at = field(text, "at ");
  const auto lower = field(text, "lower ");
  if (!at || !lower) return "is damaged";
  header->at = *at;
  header->lower = *lower;
  const std::string over = field(text, "over ").value_or("");
  for (size_t from = 0; from < over.size();) {
    const size_t end = std::min(over.find('/', from), over.size());
    header->over.push_back(over.substr(from, end - from));
    from = end + 1;
  }
  return {};
}

}  // namespace viewsh::viewfs
