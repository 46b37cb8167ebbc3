#include "transfer.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "layer_record.h"

namespace viewsh::viewfs {

namespace {
constexpr size_t kBuffer = size_t{1} << 18;

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
}  // namespace

FileContent::FileContent(UniqueFd fd, uint64_t size) : fd_(std::move(fd)) {
  const auto end = static_cast<off_t>(size);
  for (off_t at = 0; at < end;) {
    off_t data = lseek(fd_.get(), at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // a hole up to the end
    off_t hole = data < 0 ? -1 : lseek(fd_.get(), data, SEEK_HOLE);
    if (hole < 0) data = at, hole = end;  // no such question here: all is data
    hole = std::min(hole, end);
    if (data >= end) break;
    extents_.push_back({static_cast<uint64_t>(data), static_cast<uint64_t>(hole - data)});
    at = hole;
  }
}

std::string FileContent::next(Piece* piece) {
  *piece = {};
  while (current_ < extents_.size() && done_ == extents_[current_].size) ++current_, done_ = 0;
  if (current_ == extents_.size()) return {};
  if (buffer_.empty()) buffer_.resize(kBuffer);
  const Extent& extent = extents_[current_];
  const size_t want = std::min<uint64_t>(extent.size - done_, buffer_.size());
  const auto at = static_cast<off_t>(extent.offset + done_);
  ssize_t n = 0;
  do {
    n = pread(fd_.get(), buffer_.data(), want, at);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return strerror(errno);
  if (n == 0) return "it became shorter meanwhile";
  *piece = {buffer_.data(), static_cast<size_t>(n), extent.offset + done_};
  done_ += static_cast<size_t>(n);
  return {};
}

UniqueFd open_content(int dir_fd, const std::string& name, const Attr& attr, bool loosen) {
  const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  UniqueFd fd(openat(dir_fd, name.c_str(), flags));
  if (fd || errno != EACCES || !loosen) return fd;
  const mode_t mode = attr.stx_mode & 07777;
  if (fchmodat(dir_fd, name.c_str(), mode | S_IRUSR, 0) < 0) return fd;
  fd.reset(openat(dir_fd, name.c_str(), flags));
  const int code = errno;
  fchmodat(dir_fd, name.c_str(), mode, 0);
  errno = code;
  return fd;
}

std::string TransferMeter::step(uint64_t nodes, uint64_t bytes) {
  report_.nodes += nodes;
  report_.bytes += bytes;
  progress_.nodes = report_.nodes;
  progress_.bytes = report_.bytes;
  if (options_.progress && !options_.progress(progress_)) return "interrupted";
  return {};
}

void TransferMeter::set_source(uint64_t done, uint64_t total) {
  progress_.done = done;
  progress_.total = total;
}

void TransferMeter::lost(const std::string& what, const std::string& path) {
  Loss& loss = losses_[what];
  if (loss.count++ == 0) loss.first = path;
}

TransferReport TransferMeter::take_report() {
  for (const auto& [what, loss] : losses_) {
    std::string text = told(loss.first);
    if (loss.count > 1) text += " and " + std::to_string(loss.count - 1) + " more";
    report_.notes.push_back(text + ": " + what);
  }
  losses_.clear();
  return std::move(report_);
}

ArchiveModule* archive_module(std::string* error) {
  using Entry = ArchiveModule* (*)();
  static constexpr char kName[] = "/viewfs/archive.so";
  Dl_info self{};
  std::vector<std::string> places;
  if (dladdr(reinterpret_cast<const void*>(&archive_module), &self) != 0) {
    places.push_back(folder_of(self.dli_fname) + kName);
    places.push_back(folder_of(self.dli_fname) + "/../plugins" + kName);
  }
  for (const std::string& place : places) {
    if (access(place.c_str(), F_OK) < 0) continue;
    void* handle = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    const auto entry =
        handle == nullptr ? nullptr : reinterpret_cast<Entry>(dlsym(handle, VIEWSH_ARCHIVE_SYMBOL));
    if (entry != nullptr) return entry();
    *error = std::string("archives can't be read or written: ") + dlerror();
    return nullptr;
  }
  *error = "archives can't be read or written: viewfs" + std::string("/archive.so is missing");
  return nullptr;
}

std::string told(std::string_view path) { return "/" + std::string(path); }

}  // namespace viewsh::viewfs
