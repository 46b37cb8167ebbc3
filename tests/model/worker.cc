#include "worker.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace viewsh_model {

Worker::Worker(std::string root) : root_(std::move(root)) {
  slots_.fill(-1);
  reset();
}

Worker::~Worker() {
  for (const int fd : slots_) {
    if (fd >= 0) close(fd);
  }
}

void Worker::reset() {
  for (int& fd : slots_) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  if (chdir(root_.c_str()) != 0) die("chdir " + root_ + ": " + std::strerror(errno));
}

std::string Worker::run(const Op& op) {
  if (op.verb == "limit") return run_limited(*this, op);
  for (const Verb* table : {kPathVerbs, kFdVerbs, kDirVerbs}) {
    for (const Verb* verb = table; !verb->name.empty(); ++verb) {
      if (verb->name == op.verb) return format(op) + " = " + verb->run(*this, op);
    }
  }
  die("there is no operation " + op.verb);
}

Worker::Place Worker::place(const std::string& text) const {
  if (text.starts_with("@")) return {AT_FDCWD, root_ + "/" + text.substr(1)};
  if (text.size() >= 3 && text[0] == '=') return {fd(text.substr(1, 1)), text.substr(3)};
  return {AT_FDCWD, text};
}

int Worker::fd(const std::string& text) const {
  return slots_[static_cast<size_t>(number(text)) % kSlots];
}

void Worker::set_slot(const std::string& text, int fd, bool own) {
  const size_t i = static_cast<size_t>(number(text)) % kSlots;
  if (slots_[i] >= 0) close(slots_[i]);
  slots_[i] = fd;
  own_[i] = own;
}

bool Worker::is_own(const std::string& text) const {
  return own_[static_cast<size_t>(number(text)) % kSlots];
}

mode_t Worker::mode_for(const std::string& text, const struct stat& object) const {
  const auto mode = static_cast<mode_t>(number(text));
  struct stat root {};
  const bool is_root = stat(root_.c_str(), &root) == 0 && same_object(root, object);
  const bool open = is_root || getenv("MODEL_OPEN_DIRS") != nullptr;
  return S_ISDIR(object.st_mode) && open ? mode | 0700 : mode;
}

std::string outcome(long result) {
  if (result == -1) {
    const char* name = strerrorname_np(errno);
    return name != nullptr ? name : "errno " + std::to_string(errno);
  }
  return result == 0 ? "ok" : "ok " + std::to_string(result);
}

std::string time_text(const struct stat& st) {
  // A FIFO's times move with what goes through it, and may be those of the kernel's own object.
  if (S_ISFIFO(st.st_mode)) return "-";
  constexpr time_t kSetBefore = 1500000000;
  return st.st_mtim.tv_sec < kSetBefore
             ? std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec)
             : "new";
}

/// Has a file extents that were written to? Nothing: the file system can't tell.
static std::optional<bool> written(int fd) {
  constexpr unsigned kMany = 512;
  alignas(fiemap) char room[sizeof(fiemap) + kMany * sizeof(fiemap_extent)] = {};
  auto* map = reinterpret_cast<fiemap*>(room);
  map->fm_length = FIEMAP_MAX_OFFSET;
  map->fm_flags = FIEMAP_FLAG_SYNC;  // what is only in memory has none yet
  map->fm_extent_count = kMany;
  if (ioctl(fd, FS_IOC_FIEMAP, map) != 0) return {};
  return std::any_of(
      map->fm_extents, map->fm_extents + map->fm_mapped_extents,
      [](const fiemap_extent& one) { return (one.fe_flags & FIEMAP_EXTENT_UNWRITTEN) == 0; });
}

/// Whether a file has data. Space that was only preallocated, which a copy doesn't have, is none:
/// only a file of nothing but zeros can be that. fallocate(2)
static std::string blocks_text(const struct stat& st, const std::string& path) {
  if (st.st_blocks == 0) return " no-blocks";
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return " blocks";
  std::string data(static_cast<size_t>(st.st_size), '\0');
  const ssize_t n = pread(fd, data.data(), data.size(), 0);
  const bool zeros = n >= 0 && data.find_first_not_of('\0') == std::string::npos;
  const bool some = !zeros || written(fd).value_or(true);
  close(fd);
  return some ? " blocks" : " no-blocks";
}

std::string describe(const struct stat& st, bool content, const std::string& path) {
  static const char* const kTypes[] = {"0",   "fifo", "chr",  "3",  "dir",  "5",  "blk", "7",
                                       "reg", "9",    "link", "11", "sock", "13", "14",  "15"};
  char mode[8];
  std::snprintf(mode, sizeof(mode), "%04o", st.st_mode & 07777);
  std::string out = std::string(kTypes[(st.st_mode & S_IFMT) >> 12]) + " " + mode;
  const bool dir_links = getenv("MODEL_NO_DIR_LINKS") == nullptr;
  if (dir_links || !S_ISDIR(st.st_mode)) out += " nlink=" + std::to_string(st.st_nlink);
  out += st.st_uid == getuid() ? "" : " uid=" + std::to_string(st.st_uid);
  out += st.st_gid == getgid() ? "" : " gid=" + std::to_string(st.st_gid);
  if (content) {
    if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) out += " size=" + std::to_string(st.st_size);
    const bool blocks = getenv("MODEL_NO_BLOCKS") == nullptr;
    if (blocks && S_ISREG(st.st_mode) && st.st_size > 0) out += blocks_text(st, path);
    out += " mtime=" + time_text(st);
  }
  return out;
}

long long number(const std::string& text) { return std::strtoll(text.c_str(), nullptr, 0); }

std::string pattern(size_t offset, size_t length, unsigned seed) {
  std::string out(length, '\0');
  for (size_t i = 0; i < length; ++i) {
    out[i] = static_cast<char>('A' + ((offset + i) * 7 + seed * 13 + ((offset + i) >> 9)) % 57);
  }
  return out;
}

std::string digest(std::string_view data) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char c : data) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  char text[40];
  std::snprintf(text, sizeof(text), "%zu:%016llx", data.size(),
                static_cast<unsigned long long>(hash));
  return text;
}

bool same_object(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace viewsh_model
