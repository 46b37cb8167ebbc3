// The text that a snapshot's tree is kept as.
#include <charconv>

#include "layer_tree.h"

namespace viewsh::viewfs {
namespace {

constexpr std::string_view kVersionLine = "viewsh-snapshot 1";
constexpr std::string_view kShelvedLine = "viewsh-snapshot 2";
constexpr std::string_view kVersionWord = "viewsh-snapshot ";

/// Takes words off a line.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) {}
  bool more() const { return !rest_.empty(); }
  std::string_view word() {
    const size_t space = rest_.find(' ');
    const std::string_view out = rest_.substr(0, space);
    rest_.remove_prefix(space == std::string_view::npos ? rest_.size() : space + 1);
    return out;
  }
  template <typename T>
  bool number(T* value) {
    const std::string_view text = word();
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *value);
    return !text.empty() && ec == std::errc() && end == text.data() + text.size();
  }
  bool number(FileTime* value) { return FileTime::parse(word(), value); }
  bool text(std::string* out) {
    const std::string_view raw = word();
    auto plain = raw.empty() ? std::nullopt : unescape(raw);
    if (!plain) return false;
    *out = std::move(*plain);
    return true;
  }

 private:
  std::string_view rest_;
};

std::string encode_entry(const TreeEntry& e) {
  std::string out = e.anchor ? "link " : "name ";
  out += escape(e.path);
  const auto put = [&](auto value) { out += ' ' + std::to_string(value); };
  put(static_cast<int>(e.type)), put(e.mode), put(e.uid), put(e.gid), put(e.size);
  out += ' ' + e.atime.text() + ' ' + e.mtime.text();
  put(e.object);
  for (const auto& [name, value] : e.xattrs) out += ' ' + escape(name) + ' ' + escape(value);
  return out;
}

/// A path that stays in the directory it is meant for.
bool plain_path(const std::string& path) {
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (name.empty() || name == "." || name == ".." || name.size() > 255) return false;
    if (name.find('\0') != std::string_view::npos || slash == rest.size() - 1) return false;
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  return true;
}

bool decode_entry(Words words, TreeEntry* e) {
  const std::string_view kind = words.word();
  e->anchor = kind == "link";
  if (!e->anchor && kind != "name") return false;
  uint8_t type = 0;
  if (!words.text(&e->path) || !words.number(&type) || !words.number(&e->mode) ||
      !words.number(&e->uid) || !words.number(&e->gid) || !words.number(&e->size) ||
      !words.number(&e->atime) || !words.number(&e->mtime) || !words.number(&e->object)) {
    return false;
  }
  e->type = static_cast<NodeType>(type);
  while (words.more()) {
    std::string name;
    if (!words.text(&name) || !words.text(&e->xattrs[name])) return false;
  }
  return plain_path(e->path) && (e->type != NodeType::kDirectory || !e->anchor);
}

}  // namespace

Attr attr_of(const TreeEntry& e) {
  Attr attr{};
  attr.stx_mode = static_cast<uint16_t>((static_cast<unsigned>(e.type) << 12) | (e.mode & 07777));
  attr.stx_uid = e.uid;
  attr.stx_gid = e.gid;
  attr.stx_size = e.size;
  attr.stx_nlink = 1;
  e.atime.put(&attr.stx_atime);
  e.mtime.put(&attr.stx_mtime);
  return attr;
}

std::string encode_tree(const SnapshotTree& tree) {
  std::string out = encode_text(tree.shelved ? kShelvedLine : kVersionLine);
  out +=
      encode_text("taken " + std::to_string(tree.taken) + " " + std::to_string(tree.bytes) + " " +
                  std::to_string(tree.changes) + " " + std::to_string(tree.entries.size()));
  for (const TreeEntry& entry : tree.entries) out += encode_text(encode_entry(entry));
  return out;
}

std::string decode_tree(std::string_view text, SnapshotTree* tree) {
  if (!text.ends_with('\n')) return "its tree is cut off";
  size_t count = 0;
  size_t line_number = 0;
  for (size_t at = 0; at < text.size(); ++line_number) {
    const size_t end = text.find('\n', at);
    const auto line = decode_text(text.substr(at, end - at));
    if (!line) return "its tree is damaged at byte " + std::to_string(at);
    Words words(*line);
    if (line_number == 0) {
      if (line->substr(0, kVersionWord.size()) != kVersionWord) return "its tree is not a tree";
      tree->shelved = *line == kShelvedLine;
      if (!tree->shelved && *line != kVersionLine) {
        return "its format is version " + std::string(line->substr(kVersionWord.size())) +
               ", this viewsh knows versions 1 and 2";
      }
    } else if (line_number == 1) {
      if (words.word() != "taken" || !words.number(&tree->taken) || !words.number(&tree->bytes) ||
          !words.number(&tree->changes) || !words.number(&count)) {
        return "its tree is damaged at byte " + std::to_string(at);
      }
    } else {
      TreeEntry entry;
      if (!decode_entry(words, &entry)) return "its tree is unknown at byte " + std::to_string(at);
      if (!entry.anchor) tree->upper.emplace(entry.path, tree->entries.size());
      tree->entries.push_back(std::move(entry));
    }
    at = end + 1;
  }
  if (line_number < 2 || count != tree->entries.size()) return "its tree is cut off";
  return {};
}

}  // namespace viewsh::viewfs
