#include "base/long_path.h"

#include <fcntl.h>

#include <climits>

namespace viewsh {

LongPath::LongPath(std::string path) : text_(std::move(path)) {
  constexpr size_t kPiece = PATH_MAX - 64;
  if (text_.size() < PATH_MAX) return;
  size_t from = 0;
  while (text_.size() - from > kPiece) {
    size_t cut = text_.rfind('/', from + kPiece);
    if (cut == std::string::npos || cut <= from) return;
    std::string piece = text_.substr(from, cut - from);
    int fd = openat(dir_ ? dir_.get() : AT_FDCWD, piece.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    dir_.reset(fd);
    from = cut + 1;
  }
  text_ = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(dir_.get()) + "/" +
          text_.substr(from);
}

}  // namespace viewsh
