#include "layer_leaving.h"

#include <fcntl.h>

#include <charconv>

#include "commit_build.h"
#include "commit_tree.h"
#include "cow_index.h"
#include "host_ops.h"
#include "layer.h"

namespace viewsh::viewfs {
namespace {

constexpr char kName[] = "gone";
constexpr char kHead[] = "viewsh-gone 1";
constexpr char kEnd[] = "end";

std::string_view word_of(std::string_view* rest) {
  const size_t space = rest->find(' ');
  const std::string_view out = rest->substr(0, space);
  rest->remove_prefix(space == std::string_view::npos ? rest->size() : space + 1);
  return out;
}

template <typename N>
bool number_of(std::string_view* rest, N* out) {
  const std::string_view text = word_of(rest);
  const auto done = std::from_chars(text.data(), text.data() + text.size(), *out);
  return done.ec == std::errc() && done.ptr == text.data() + text.size();
}

bool parse_line(std::string_view line, Leaving* out) {
  const std::string_view word = word_of(&line);
  const auto path = unescape(word_of(&line));
  if (!path) return false;
  if (word == "upper" && !path->empty()) {
    out->upper.push_back(*path);
  } else if (word == "link" && path->find('/') == std::string::npos) {
    out->links.push_back(*path);
  } else if (word == "dir") {
    Attributes a;
    const bool good = number_of(&line, &a.mode) && number_of(&line, &a.uid) &&
                      number_of(&line, &a.gid) && FileTime::parse(word_of(&line), &a.atime) &&
                      FileTime::parse(word_of(&line), &a.mtime);
    if (!good) return false;
    out->dirs.push_back({*path, a});
  } else {
    return false;
  }
  return line.empty();
}

/// EINVAL: not all of it is there.
Result<Leaving> parse(std::string_view text) {
  Leaving out;
  bool ended = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos || ended) return Errno(EINVAL);
    const auto line = decode_text(text.substr(at, end - at));
    if (!line) return Errno(EINVAL);
    ended = *line == kEnd;
    const bool known = at == 0 ? *line == kHead : ended || parse_line(*line, &out);
    if (!known) return Errno(EINVAL);
    at = end + 1;
  }
  if (!ended) return Errno(EINVAL);
  return out;
}

/// Nobody has it any more: that is what was to be done.
Result<void> or_gone(Result<void> done) {
  return done || done.error() == ENOENT ? Result<void>() : done;
}

}  // namespace

Result<void> write_leaving(int at, const Leaving& leaving) {
  std::string out = encode_text(kHead);
  for (const std::string& path : leaving.upper) out += encode_text("upper " + escape(path));
  for (const std::string& name : leaving.links) out += encode_text("link " + escape(name));
  for (const auto& [path, a] : leaving.dirs) {
    std::string line = "dir " + escape(path);
    for (const auto number : {a.mode, a.uid, a.gid}) line += " " + std::to_string(number);
    for (const FileTime& time : {a.atime, a.mtime}) line += " " + time.text();
    out += encode_text(line);
  }
  return replace_file(at, kName, out + encode_text(kEnd));
}

Result<void> remove_listed(int layer_fd, int at) {
  const auto text = read_whole(at, kName);
  if (!text && text.error() == ENOENT) return {};
  if (!text) return text.error();
  TRY_ASSIGN(const Leaving leaving, parse(*text));
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  const UniqueFd upper(openat(layer_fd, "upper", kFlags));
  const UniqueFd links(upper ? openat(layer_fd, "links", kFlags) : -1);
  if (!links) return Errno::last();
  Tree tree(upper.get());
  for (const std::string& path : leaving.upper) {
    const auto dir = tree.parent(path);
    TRY(or_gone(dir ? host_ops::remove_tree((*dir)->get(), leaf_of(path))
                    : Result<void>(dir.error())));
  }
  for (const std::string& name : leaving.links) {
    TRY(or_gone(from_libc(unlinkat(links.get(), name.c_str(), 0))));
  }
  for (const auto& [path, attributes] : leaving.dirs) {
    const auto dir = tree.dir(path);
    TRY(or_gone(dir ? set_attributes((*dir)->get(), ".", attributes) : Result<void>(dir.error())));
  }
  return {};
}

}  // namespace viewsh::viewfs
