#include "cli/patch.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <map>
#include <memory>
#include <set>

#include "base/path.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "viewsh/long_path.h"
#include "viewsh/unique_fd.h"

namespace viewsh {
namespace {

constexpr const char* kDiff = "/usr/bin/diff";
constexpr const char* kNothing = "/dev/null";

/// One side of a comparison: a host object or nothing.
struct Side {
  std::string host;
  struct stat attr {};
  bool exists = false;
  bool is(mode_t type) const { return exists && (attr.st_mode & S_IFMT) == type; }
};

Side side_of(const std::string& host) {
  Side side;
  side.host = host;
  side.exists = !host.empty() && lstat(LongPath(host).c_str(), &side.attr) == 0;
  return side;
}

/// What a change makes of it. A layer has no copy of what was only renamed.
Side new_side(const Change& change) {
  const bool same = change.kind == Change::Kind::kRenamed && change.upper.empty();
  return side_of(same ? change.lower : change.upper);
}

std::string mode_text(const Side& side) {
  std::array<char, 16> text{};
  unsigned mode = side.attr.st_mode & S_IFMT;
  if (side.is(S_IFREG)) mode |= (side.attr.st_mode & S_IXUSR) != 0 ? 0755 : 0644;
  snprintf(text.data(), text.size(), "%06o", mode);
  return text.data();
}

std::string link_target(const Side& side) {
  std::array<char, PATH_MAX> buffer{};
  ssize_t length = readlink(LongPath(side.host).c_str(), buffer.data(), buffer.size());
  return length < 0 ? "" : std::string(buffer.data(), static_cast<size_t>(length));
}

/// A file with a NUL byte at its start, as diff(1) and git(1) see it.
bool is_binary(const Side& side) {
  if (!side.is(S_IFREG)) return false;
  UniqueFd fd(open(LongPath(side.host).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 65536> head{};
  ssize_t length = read(fd.get(), head.data(), head.size());
  return length > 0 && std::string_view(head.data(), static_cast<size_t>(length)).find('\0') !=
                           std::string_view::npos;
}

bool write_text(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

/// Runs diff(1) with its standard output on `out`. Trouble it reports itself on standard error.
UserError run_diff(const Side& from, const Side& to, const std::string& from_name,
                   const std::string& to_name, bool colour, int out) {
  const LongPath old_file(from.is(S_IFREG) ? from.host : kNothing);
  const LongPath new_file(to.is(S_IFREG) ? to.host : kNothing);
  std::vector<std::string> words = {
      kDiff,          "-u",      colour ? "--color=always" : "--color=never",
      "--label",      from_name, "--label",
      to_name,        "--",      old_file.text(),
      new_file.text()};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  pid_t pid = -1;
  int error = posix_spawn(&pid, kDiff, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {std::string(kDiff) + ": " + Errno(error).message()};
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  constexpr int kTrouble = 2;
  if (WIFEXITED(status) && WEXITSTATUS(status) < kTrouble) return {};
  return {printable(to_name) + ": diff failed; the patch is not complete"};
}

/// The lines of a symbolic link, whose target is taken as a text without newline.
std::string link_hunk(const Side& from, const Side& to) {
  const std::string no_newline = "\n\\ No newline at end of file\n";
  std::string text = "@@ -";
  text += from.is(S_IFLNK) ? "1" : "0,0";
  text += to.is(S_IFLNK) ? " +1 @@\n" : " +0,0 @@\n";
  if (from.is(S_IFLNK)) text += "-" + link_target(from) + no_newline;
  if (to.is(S_IFLNK)) text += "+" + link_target(to) + no_newline;
  return text;
}

/// Writes the patch of one change after the other. A patch knows files and links only: directories
/// that are deleted or renamed are taken apart into what is in them.
class PatchWriter {
 public:
  PatchWriter(const std::vector<Change>& changes, int fd, bool colour) : fd_(fd), colour_(colour) {
    for (const Change& change : changes) {
      listed_.insert(change.path);
      if (change.kind == Change::Kind::kRenamed) renamed_[change.path] = change.old_path;
    }
  }

  UserError write_change(const Change& change) {
    Side from = side_of(change.lower);
    Side to = new_side(change);
    const std::string old_path = old_name(change.path);
    switch (change.kind) {
      case Change::Kind::kAdded:
        return write_file(change.path, change.path, {}, to);
      case Change::Kind::kDeleted:
        return write_tree(change.old_path.empty() ? old_path : change.old_path, "", change.lower);
      case Change::Kind::kTypeChanged: {
        UserError error = write_tree(old_path, "", change.lower);
        return error ? error : write_file(change.path, change.path, {}, to);
      }
      case Change::Kind::kRenamed:
        if (from.is(S_IFDIR)) return write_tree(old_path, change.path, change.lower);
        break;
      case Change::Kind::kChanged:
        break;
    }
    return write_file(old_path, change.path, from, to);
  }

 private:
  /// Where something was before the renames of the directories above it.
  std::string old_name(const std::string& path) const {
    for (std::string dir = path; dir != "/" && !dir.empty(); dir = parent_path(dir)) {
      auto renamed = renamed_.find(dir);
      if (renamed != renamed_.end()) return renamed->second + path.substr(dir.size());
    }
    return path;
  }

  /// All that was at `old_path`: as renamed to `path`, or as deleted where that is empty. What is a
  /// change of its own is left out.
  UserError write_tree(const std::string& old_path, const std::string& path,
                       const std::string& host) {
    Side side = side_of(host);
    bool moved = !path.empty();
    if (!side.is(S_IFDIR))
      return write_file(old_path, moved ? path : old_path, side, moved ? side : Side{});
    std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(LongPath(host).c_str()), closedir);
    if (!dir) return {};
    std::set<std::string> names;
    while (const dirent* entry = readdir(dir.get())) names.insert(entry->d_name);
    for (const std::string& name : names) {
      std::string below = moved ? join_path(path, name) : "";
      if (name == "." || name == "..") continue;
      if (listed_.count(moved ? below : join_path(old_path, name)) != 0) continue;
      if (UserError error = write_tree(join_path(old_path, name), below, join_path(host, name))) {
        return error;
      }
    }
    return {};
  }

  UserError write_file(const std::string& old_path, const std::string& path, const Side& from,
                       const Side& to) {
    std::string head = header(old_path, path, from, to);
    std::string a = from.exists ? patch_name("a", old_path) : kNothing;
    std::string b = to.exists ? patch_name("b", path) : kNothing;
    for (std::string* name : {&a, &b}) {
      if ((*name)[0] != '"' && name->find(' ') != std::string::npos) *name += '\t';
    }
    bool files = from.is(S_IFREG) || to.is(S_IFREG);
    bool links = from.is(S_IFLNK) || to.is(S_IFLNK);
    if (!files && !links && old_path == path) return {};
    if (files && (is_binary(from) || is_binary(to))) {
      const bool other = old_path != path || mode_text(from) != mode_text(to);
      return write_binary(from.exists && to.exists && other ? head : "", from, to, a, b);
    }
    bool same_link = from.is(S_IFLNK) && to.is(S_IFLNK) && link_target(from) == link_target(to);
    if (links && !same_link) head += "--- " + a + "\n+++ " + b + "\n" + link_hunk(from, to);
    bool only_metadata =
        old_path == path && from.exists && to.exists && mode_text(from) == mode_text(to) && !links;
    if (!only_metadata) {
      if (UserError error = put(head)) return error;
      return files ? run_diff(from, to, a, b, colour_, fd_) : UserError{};
    }
    return write_if_different(head, from, to, a, b);
  }

  /// Programs that apply patches can't do what isn't in them: `git apply` refuses all of a patch
  /// that begins a binary file without its content, but goes over a line between two files. So that
  /// line comes first, and a head only where there is more to be done: another name or mode.
  UserError write_binary(const std::string& head, const Side& from, const Side& to,
                         const std::string& a, const std::string& b) {
    std::unique_ptr<FILE, int (*)(FILE*)> buffer(tmpfile(), fclose);
    if (!buffer) return {"temporary file: " + Errno::last().message()};
    if (UserError error = run_diff(from, to, a, b, false, fileno(buffer.get()))) return error;
    const bool same = lseek(fileno(buffer.get()), 0, SEEK_END) == 0;
    std::string text = same ? "" : "Binary files " + a + " and " + b + " differ\n";
    // Right behind a head of another file it would be that one's.
    if (begun_ && !same) text.insert(0, "\n");
    return put(text + head);
  }

  /// A file with the same mode on both sides: nothing at all where the content is the same.
  UserError write_if_different(const std::string& head, const Side& from, const Side& to,
                               const std::string& a, const std::string& b) {
    std::unique_ptr<FILE, int (*)(FILE*)> buffer(tmpfile(), fclose);
    if (!buffer) return {"temporary file: " + Errno::last().message()};
    int fd = fileno(buffer.get());
    if (UserError error = run_diff(from, to, a, b, colour_, fd)) return error;
    if (lseek(fd, 0, SEEK_END) == 0) return {};
    lseek(fd, 0, SEEK_SET);
    if (UserError error = put(head)) return error;
    std::array<char, 65536> block{};
    for (ssize_t length = 0; (length = read(fd, block.data(), block.size())) > 0;) {
      if (UserError error = put({block.data(), static_cast<size_t>(length)})) return error;
    }
    return {};
  }

  std::string header(const std::string& old_path, const std::string& path, const Side& from,
                     const Side& to) const {
    std::string line = "diff --git " + patch_name("a", old_path) + " " + patch_name("b", path);
    std::string text = coloured(line, Colour::kBold, colour_) + "\n";
    if (!from.exists && to.exists) text += "new file mode " + mode_text(to) + "\n";
    if (from.exists && !to.exists) text += "deleted file mode " + mode_text(from) + "\n";
    if (from.exists && to.exists && mode_text(from) != mode_text(to)) {
      text += "old mode " + mode_text(from) + "\nnew mode " + mode_text(to) + "\n";
    }
    if (old_path != path) {
      text +=
          "rename from " + patch_name("", old_path) + "\nrename to " + patch_name("", path) + "\n";
    }
    return text;
  }

  UserError put(std::string_view text) {
    begun_ = begun_ || !text.empty();
    if (write_text(fd_, text)) return {};
    return {"standard output: " + Errno::last().message()};
  }

  int fd_;
  bool colour_;
  bool begun_ = false;                          ///< something was written
  std::set<std::string> listed_;                ///< the paths that are changes of their own
  std::map<std::string, std::string> renamed_;  ///< new path -> old path
};

/// Counts the lines that begin with '+' and '-' after the two lines of the head.
void count_lines(FILE* in, ChangeSize* size) {
  uint64_t line = 1;
  bool start = true;
  for (int c = 0; (c = getc(in)) != EOF; start = c == '\n') {
    if (start && line > 2 && c == '+') ++size->added;
    if (start && line > 2 && c == '-') ++size->removed;
    if (c == '\n') ++line;
  }
}

/// The content of a side, "" where there is none. False: not to be read, or larger than is held
/// here.
bool read_side(const Side& side, std::string* text) {
  constexpr off_t kLargest = off_t{64} << 20;
  if (!side.is(S_IFREG)) return true;
  if (side.attr.st_size > kLargest) return false;
  const UniqueFd fd(open(LongPath(side.host).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  text->resize(static_cast<size_t>(side.attr.st_size));
  size_t done = 0;
  for (ssize_t n = 1; n > 0 && done < text->size(); done += static_cast<size_t>(n)) {
    n = read(fd.get(), text->data() + done, text->size() - done);
    if (n < 0) return false;
  }
  text->resize(done);
  return true;
}

uint64_t lines_of(std::string_view text) {
  const auto ends = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  return ends + (text.empty() || text.back() == '\n' ? 0 : 1);
}

/// Takes away the lines that both begin with, and those that both end with.
void strip_common_lines(std::string_view* a, std::string_view* b) {
  size_t same = static_cast<size_t>(
      std::mismatch(a->begin(), a->end(), b->begin(), b->end()).first - a->begin());
  if (same < a->size() || same < b->size()) {
    const size_t end = a->substr(0, same).rfind('\n');
    same = end == std::string_view::npos ? 0 : end + 1;
  }
  a->remove_prefix(same);
  b->remove_prefix(same);
  same = static_cast<size_t>(std::mismatch(a->rbegin(), a->rend(), b->rbegin(), b->rend()).first -
                             a->rbegin());
  // What is left of either has to end with a whole line.
  const auto whole = [](std::string_view text, size_t cut) {
    return cut == text.size() || text[text.size() - cut - 1] == '\n';
  };
  while (same > 0 && !(whole(*a, same) && whole(*b, same))) --same;
  a->remove_suffix(same);
  b->remove_suffix(same);
}

}  // namespace

std::string patch_name(const std::string& prefix, const std::string& path) {
  std::string whole = prefix.empty() && path.size() > 1 ? path.substr(1) : prefix + path;
  std::string out;
  for (char c : whole) {
    std::array<char, 8> octal{};
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      snprintf(octal.data(), octal.size(), "\\%03o", static_cast<unsigned>(byte));
      out += octal.data();
    } else {
      out += c;
    }
  }
  return out == whole ? whole : "\"" + out + "\"";
}

UserError write_patch(const std::vector<Change>& changes, int fd, bool colour) {
  PatchWriter writer(changes, fd, colour);
  for (const Change& change : changes) {
    if (UserError error = writer.write_change(change)) return error;
  }
  return {};
}

UserError measure_change(const Change& change, ChangeSize* size) {
  Side from = side_of(change.kind == Change::Kind::kAdded ? "" : change.lower);
  Side to = change.kind == Change::Kind::kDeleted ? Side{} : new_side(change);
  if (from.is(S_IFREG)) size->old_bytes = static_cast<uint64_t>(from.attr.st_size);
  if (to.is(S_IFREG)) size->new_bytes = static_cast<uint64_t>(to.attr.st_size);
  if (!from.is(S_IFREG) && !to.is(S_IFREG)) return {};
  size->binary = is_binary(from) || is_binary(to);
  if (size->binary) return {};
  std::string old_text;
  std::string new_text;
  if (read_side(from, &old_text) && read_side(to, &new_text)) {
    std::string_view removed = old_text;
    std::string_view added = new_text;
    strip_common_lines(&removed, &added);
    size->removed = lines_of(removed);
    size->added = lines_of(added);
    // Where lines stand against lines, some of them may still be the same.
    if (removed.empty() || added.empty()) return {};
    size->removed = size->added = 0;
  }
  std::unique_ptr<FILE, int (*)(FILE*)> buffer(tmpfile(), fclose);
  if (!buffer) return {"temporary file: " + Errno::last().message()};
  if (UserError error = run_diff(from, to, "a", change.path, false, fileno(buffer.get()))) {
    return error;
  }
  rewind(buffer.get());
  count_lines(buffer.get(), size);
  return {};
}

}  // namespace viewsh
