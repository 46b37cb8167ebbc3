#include "image_outer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

#include "locked_fs.h"

namespace viewsh {
namespace {

/// More of them are no gain over looking at the whole file.
constexpr size_t kMost = 4096;

std::vector<PlannedWrite> announced(const std::vector<FilePart>& parts) {
  std::vector<PlannedWrite> out;
  for (const FilePart& part : parts) out.push_back({getpid(), part.begin, part.end - part.begin});
  // They are made already.
  out.push_back({getpid()});
  return out;
}

}  // namespace

std::shared_ptr<ImageOuter> ImageOuter::find(const std::shared_ptr<FileSystem>& below,
                                             const std::string& path) {
  if (!below->keeps()) return nullptr;
  const size_t slash = path.rfind('/');
  const auto directory = below->subtree(slash == std::string::npos ? "" : path.substr(0, slash));
  auto image = directory ? std::dynamic_pointer_cast<LockedFs>(*directory) : nullptr;
  if (image != nullptr && !image->is_for_threads()) image = nullptr;
  return std::shared_ptr<ImageOuter>(new ImageOuter(below, std::move(image)));
}

void ImageOuter::wrote(uint64_t offset, uint64_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  ++written_;
  const uint64_t end = offset + size;
  if (!parts_.empty() && offset >= parts_.back().begin && offset <= parts_.back().end) {
    parts_.back().end = std::max(parts_.back().end, end);
  } else if (parts_.size() < kMost) {
    parts_.push_back({offset, end});
  } else {
    parts_ = {{0, PlannedWrite::kToTheEnd}};
  }
}

/// It may have been moved since it was opened.
std::string ImageOuter::host() const {
  std::array<char, PATH_MAX> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd_);
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
  // Of a longer path the kernel tells nothing.
  if (size <= 0 || static_cast<size_t>(size) == text.size()) return host_;
  return {text.data(), static_cast<size_t>(size)};
}

Result<void> ImageOuter::bring_on() {
  std::vector<FilePart> parts;
  uint64_t upto = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (brought_ == written_) return {};
    upto = written_;
    parts.swap(parts_);
  }
  const std::string host = this->host();
  const auto bring = [&](FileSystem& fs) -> Result<void> {
    // What was saved since it was written, when nobody had said where that was, doesn't count.
    const std::array<timespec, 2> now = {timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
    const Result<void> touched = from_libc(::futimens(fd_, now.data()));
    for (const PlannedWrite& write : announced(parts)) fs.writing(host, write);
    TRY(touched);
    return fs.sync_names(host);
  };
  const Result<void> done = image_ != nullptr ? image_->at_once(bring) : bring(*below_);
  if (!done) return Errno(EIO);
  const std::lock_guard<std::mutex> lock(mutex_);
  brought_ = std::max(brought_, upto);
  return {};
}

}  // namespace viewsh
