#include "generate.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace viewsh_model {
namespace {

struct Entry {
  std::string name;
  bool directory;
};

std::vector<Entry> entries_of(int fd) {
  std::vector<Entry> out;
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    close(fd);
    return out;
  }
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") out.push_back({name, entry->d_type == DT_DIR});
  }
  closedir(dir);
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return out;
}

std::string flags(int value) { return std::to_string(value); }

}  // namespace

std::string Generator::name() {
  static const std::string kPlain[] = {"a", "b", "c", "d", "e", "f", "g", "1", "2", "3"};
  static const std::string kOdd[] = {
      "new\nline", "back\\slash", "caf\xe9", ".wh.x",        ".wh..wh..opq", "trail ", "%41",
      "a|b",       "-x",          "...",     "\xff\x01\xfe", ".wh.",         "log"};
  if (chance(80)) return kPlain[pick(std::size(kPlain))];
  if (chance(3)) return std::string(256, 'x');
  if (chance(10)) return std::string(255, 'n');
  return kOdd[pick(std::size(kOdd))];
}

/// Along what is there, from an open directory (which is closed).
std::string Generator::descend(int base, Want want) {
  std::string out;
  int fd = base;
  for (uint32_t depth = 0; depth < 5 && fd >= 0; ++depth) {
    if (want == Want::kDirectory && depth > 0 && chance(50)) break;
    const auto entries = entries_of(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    lseek(fd, 0, SEEK_SET);
    std::vector<Entry> fit;
    for (const Entry& entry : entries) {
      if (entry.directory || (want != Want::kDirectory && want != Want::kNew)) fit.push_back(entry);
    }
    const bool end = fit.empty() || (want == Want::kNew && chance(45)) || chance(4);
    const Entry next = end ? Entry{name(), false} : fit[pick(static_cast<uint32_t>(fit.size()))];
    out += (out.empty() ? "" : chance(2) ? "//" : "/") + next.name;
    const int child =
        next.directory ? openat(fd, next.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW) : -1;
    close(fd);
    fd = child;
    if (child >= 0 && chance(3)) out += one_of("/..", "/.", "/./");
    if (child >= 0 && out.ends_with("..")) break;
    if (want == Want::kAny && chance(25)) break;
  }
  if (fd >= 0) close(fd);
  if (want == Want::kNew && fd >= 0) out += "/" + name();
  return out;
}

std::string Generator::path(Want want) {
  const uint32_t kind = pick(100);
  if (kind < 45) {
    const int fd = open(worker_.root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return "@" + descend(fd, want);
  }
  if (kind < 60) {
    const uint32_t i = pick(Worker::kSlots);
    struct stat st {};
    if (fstat(worker_.slot(i), &st) == 0 && S_ISDIR(st.st_mode)) {
      const int fd = openat(worker_.slot(i), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      return "=" + std::to_string(i) + "/" + (fd >= 0 ? descend(fd, want) : name());
    }
  }
  if (kind == 99) return one_of("", ".", "..x", "@" + name() + "/");
  const int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::string out = fd >= 0 ? descend(fd, want) : name();
  if (chance(1)) out += "/";
  return out;
}

/// What a link says. It must not lead out of the tree, wherever it is moved.
std::string Generator::target() {
  const std::string out = chance(40) ? path(Want::kAny) : name();
  return out.starts_with("=") || out.find("..") != std::string::npos ? name() : out;
}

/// MODEL_NO_TMPFILE: not by libfuse's high-level interface.
static bool no_tmpfile() { return getenv("MODEL_NO_TMPFILE") != nullptr; }

/// MODEL_ALL_OPEN: nothing is drawn that the kernel would refuse for its permissions.
static bool all_open() { return getenv("MODEL_ALL_OPEN") != nullptr; }

std::string Generator::mode(bool directory) {
  const bool closed = chance(4) && !all_open();
  if (directory) {
    return closed ? one_of("0", "0100", "0400", "0500", "0300")
                  : one_of("0755", "0700", "01777", "02755", "0775");
  }
  return closed ? one_of("0", "0200", "0444")
                : one_of("0644", "0600", "0755", "0666", "0640", "04755",
                         all_open() ? "0644" : "0444");
}

std::string Generator::size() {
  static constexpr uint32_t kRanges[] = {1, 10, 600, 5000, 70000};
  const std::string exact = one_of("0", "1", "4095", "4096", "8192");
  return chance(25) ? exact : std::to_string(pick(kRanges[pick(std::size(kRanges))]));
}

Op Generator::path_op() {
  const std::string plain = flags(chance(90) ? 0 : RENAME_NOREPLACE);
  switch (pick(17)) {
    case 0:
    case 1:
      return {"write",
              {path(Want::kNew), flags(O_WRONLY | O_CREAT | (chance(30) ? O_EXCL : 0)), mode(false),
               size(), size(), slot()}};
    case 2:
      return {"write", {path(Want::kFile), flags(O_RDWR), "0", size(), size(), slot()}};
    case 3:
      return {"write",
              {path(Want::kFile), flags(O_WRONLY | (chance(50) ? O_APPEND : O_TRUNC)), "0", size(),
               size(), slot()}};
    case 4:
      return {"creat",
              {path(Want::kNew), flags(O_RDWR | O_CREAT | (chance(50) ? O_EXCL : 0)), mode(false)}};
    case 5:
      return {"trunc", {path(Want::kFile), size()}};
    case 6:
    case 7:
      return {"mkdir", {path(Want::kNew), mode(true)}};
    case 8:
      return {"symlink", {target(), path(Want::kNew)}};
    case 9:
      return {"link",
              {path(Want::kFile), path(Want::kNew), flags(chance(80) ? 0 : AT_SYMLINK_FOLLOW)}};
    case 10:
      return {"unlink", {path(Want::kFile)}};
    case 11:
      return {"rmdir", {path(Want::kDirectory)}};
    case 12:
      return {"rename", {path(Want::kAny), path(Want::kNew), plain}};
    case 13:
      return {"rename", {path(Want::kDirectory), path(Want::kNew), plain}};
    case 14:
      return {"rename", {path(Want::kAny), path(Want::kAny), flags(RENAME_EXCHANGE)}};
    case 15:
      return {"rename", {path(Want::kAny), path(Want::kAny), plain}};
    default:
      return chance(20) ? Op{"mkfifo", {path(Want::kNew), mode(false)}}
                        : Op{"rename", {path(Want::kFile), path(Want::kFile), plain}};
  }
}

Op Generator::attribute_op() {
  const bool directory = chance(40);
  const Want want = directory ? Want::kDirectory : Want::kFile;
  switch (pick(6)) {
    case 0:
    case 1:
      return {"chmod", {path(want), mode(directory)}};
    case 2:
    case 3:
      return {"utimens",
              {path(want), chance(85) ? seconds() : "now",
               flags(chance(50) ? AT_SYMLINK_NOFOLLOW : 0)}};
    case 4:
      return {"setxattr",
              {path(want), xattr(), value(),
               flags(chance(70)   ? 0
                     : chance(50) ? XATTR_CREATE
                                  : XATTR_REPLACE)}};
    default:
      return {"rmxattr", {path(want), xattr()}};
  }
}

Op Generator::fd_op() {
  const std::string s = slot();
  switch (pick(19)) {
    case 0:
    case 1:
    case 2:
      return {"open",
              {s, path(Want::kFile),
               flags(chance(75)   ? O_RDWR
                     : chance(50) ? O_RDONLY
                                  : O_PATH),
               "0"}};
    case 3:
      return {"open",
              {s, path(Want::kDirectory), flags(O_DIRECTORY | (chance(80) ? 0 : O_PATH)), "0"}};
    case 4:
      return {
          "open",
          {s, path(Want::kNew), flags(O_RDWR | O_CREAT | (chance(30) ? O_TRUNC : 0)), mode(false)}};
    case 5:
      if (no_tmpfile()) return {"fstat", {s}};
      return {"open", {s, path(Want::kDirectory), flags(O_TMPFILE | O_RDWR), mode(false)}};
    case 6:
      return {"close", {s}};
    case 7:
      return {"pread", {s, size(), size()}};
    case 8:
      return {"pwrite", {s, size(), size(), slot()}};
    case 9:
      return {"ftrunc", {s, size()}};
    case 10:
      return {"fchmod", {s, mode(false)}};
    case 11:
      return {"futimens", {s, seconds()}};
    case 12:
      return {"fsetxattr", {s, xattr(), value()}};
    case 13:
      return {"fallocate",
              {s,
               flags(chance(40)   ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
                     : chance(50) ? FALLOC_FL_KEEP_SIZE
                                  : 0),
               size(), size()}};
    case 14:
      return {"copyrange", {s, size(), slot(), size(), size()}};
    case 15:
      return {"mmap", {s, size(), slot()}};
    case 16:
      return {"giveaname", {s, path(Want::kNew)}};
    case 17:
      return {"reopen", {slot(), s, flags(chance(50) ? O_RDWR : O_RDONLY)}};
    default:
      return {"fchdir", {s}};
  }
}

Op Generator::look_op() {
  switch (pick(17)) {
    case 0:
    case 1:
      return {"stat", {path(Want::kAny), flags(chance(70) ? AT_SYMLINK_NOFOLLOW : 0)}};
    case 2:
      return {"read", {path(Want::kFile)}};
    case 3:
    case 4:
      return {"list", {path(Want::kDirectory)}};
    case 5:
      return {"readlink", {path(Want::kFile)}};
    case 6:
      return {"access", {path(Want::kAny), std::to_string(pick(8)), "0"}};
    case 7:
      return {"getxattr", {path(Want::kAny), xattr()}};
    case 8:
      return {"listxattr", {path(Want::kAny)}};
    case 9:
      return {"samefile", {path(Want::kFile), path(Want::kFile)}};
    case 10:
      return {"fstat", {slot()}};
    case 11:
      return {"fsame", {slot(), path(Want::kAny)}};
    case 12:
      return {"fdpath", {slot()}};
    case 13:
      return {"flist", {slot()}};
    case 14:
      return {"getcwd", {}};
    case 15:
      // Without RESOLVE_NO_XDEV: the root of a view's mount is a border that isn't there natively.
      return {"openat2",
              {path(Want::kAny),
               flags(chance(60)   ? O_RDONLY
                     : chance(50) ? O_PATH
                                  : O_NOFOLLOW),
               "0",
               one_of("0", flags(RESOLVE_BENEATH), flags(RESOLVE_IN_ROOT),
                      flags(RESOLVE_NO_SYMLINKS), flags(RESOLVE_NO_MAGICLINKS))}};
    default:
      return {"growing", {path(Want::kDirectory), std::to_string(pick(5))}};
  }
}

/// Sequences in which one step depends on the one before.
void Generator::pattern() {
  const std::string dir = path(Want::kDirectory);
  const std::string file = path(Want::kFile);
  const std::string fresh = path(Want::kNew);
  const std::string s = slot();
  switch (pick(8)) {
    case 0:  // a directory goes and comes back
      queue_ = {{"rename", {dir, fresh, "0"}}, look_op(), path_op(), {"rename", {fresh, dir, "0"}}};
      break;
    case 1:  // deleted and made again
      queue_ = {{"purge", {dir}}, {"mkdir", {dir, mode(true)}}, {"list", {dir}}, path_op()};
      break;
    case 2:  // open, unlinked, used
      queue_ = {{"open", {s, file, flags(O_RDWR), "0"}},
                {"unlink", {file}},
                {"fstat", {s}},
                {"pwrite", {s, size(), size(), slot()}},
                {"ftrunc", {s, size()}},
                {"fstat", {s}},
                {"pread", {s, "0", "8192"}},
                {"fdpath", {s}}};
      break;
    case 3:
      queue_ = {look_op()};
      if (no_tmpfile()) break;
      queue_ = {{"open", {s, dir, flags(O_TMPFILE | O_RDWR), mode(false)}},
                {"pwrite", {s, "0", size(), slot()}},
                {"giveaname", {s, fresh}},
                {"stat", {fresh, "0"}},
                {"fsame", {s, fresh}}};
      break;
    case 4:  // from within
      queue_ = {{"chdir", {dir}}, path_op(), look_op(),
                {"getcwd", {}},   path_op(), {"chdir", {"@"}}};
      break;
    case 5:  // replaced while open
      queue_ = {{"open", {s, file, flags(O_RDWR), "0"}},
                {"rename", {path(Want::kFile), file, "0"}},
                {"fstat", {s}},
                {"pwrite", {s, size(), size(), slot()}},
                {"fsame", {s, file}},
                {"read", {file}}};
      break;
    case 6:
      queue_ = {{"link", {file, fresh, "0"}},
                {"write", {fresh, flags(O_RDWR), "0", size(), size(), s}},
                {"read", {file}},
                {"stat", {file, "0"}},
                {"samefile", {file, fresh}}};
      break;
    default:
      queue_ = {{"mkdir", {fresh, mode(true)}},
                {"rename", {fresh, dir, flags(RENAME_EXCHANGE)}},
                {"list", {dir}},
                {"list", {fresh}}};
      break;
  }
}

Op Generator::draw() {
  if (!queue_.empty()) {
    Op op = queue_.front();
    queue_.pop_front();
    return op;
  }
  if (how_.single_calls) {
    Op op = chance(80) ? path_op() : attribute_op();
    while (op.verb == "write") op = path_op();
    return op;
  }
  const uint32_t kind = pick(100);
  if (kind < 40) return path_op();
  if (kind < 52) return attribute_op();
  if (kind < 70) return fd_op();
  if (kind < 91) return look_op();
  if (kind < 93) return {"chdir", {chance(50) ? path(Want::kDirectory) : "@"}};
  if (kind == 93 && how_.restarts && chance(40)) return {"restart", {}};
  pattern();
  return draw();
}

Op Generator::next() {
  for (;;) {
    Op op = draw();
    if (std::find(how_.without.begin(), how_.without.end(), op.verb) == how_.without.end()) {
      return op;
    }
  }
}

Script initial_tree(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const std::string create = flags(O_WRONLY | O_CREAT | O_EXCL);
  static const std::string kDirs[] = {"a",       "b",   "a/c",   "a/c/d",
                                      "a/c/d/e", "b/f", "empty", "b/.wh.x"};
  Script out;
  for (const std::string& dir : kDirs) out.push_back({"mkdir", {"@" + dir, "0755"}});
  std::vector<std::string> files;
  static const std::string kNames[] = {"1", "2", "3", "new\nline", "caf\xe9", ".wh.y", "trail "};
  for (size_t i = 0; i < 14; ++i) {
    const std::string file = "@" + kDirs[pick(6)] + "/" + kNames[pick(std::size(kNames))];
    out.push_back(
        {"write",
         {file, create, pick(6) == 0 && !all_open() ? "0444" : "0644", pick(5) == 0 ? "65536" : "0",
          std::to_string(pick(9000)), std::to_string(pick(10))}});
    if (pick(4) == 0) out.push_back({"setxattr", {file, "user.a", "of the lower", "0"}});
    if (pick(4) == 0)
      out.push_back({"link", {file, "@" + kDirs[pick(6)] + "/hard" + std::to_string(i), "0"}});
    files.push_back(file);
  }
  out.push_back({"symlink", {"a/c", "@to-dir"}});
  out.push_back({"symlink", {"@b", "@a/to-b"}});
  out.push_back({"symlink", {"@a/c/d", "@b/absolute"}});
  out.push_back({"symlink", {"nowhere", "@b/dangling"}});
  out.push_back({"mkfifo", {"@a/fifo", "0644"}});
  out.push_back({"setxattr", {"@a/c", "user.b", "of a directory", "0"}});
  for (const std::string& file : files) out.push_back({"utimens", {file, "1100000000", "0"}});
  for (const char* link : {"@to-dir", "@a/to-b", "@b/absolute", "@b/dangling"}) {
    out.push_back({"utimens", {link, "1100000001", std::to_string(AT_SYMLINK_NOFOLLOW)}});
  }
  for (size_t i = std::size(kDirs); i-- > 0;) {
    out.push_back({"utimens", {"@" + kDirs[i], std::to_string(1100000002 + i), "0"}});
  }
  out.push_back({"utimens", {"@", "1100000100", "0"}});
  return out;
}

}  // namespace viewsh_model
