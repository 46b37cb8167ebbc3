#include "sparse.h"

#include <unistd.h>

#include "check_image.h"

namespace viewsh {
namespace {

size_t number(Bytes* bytes) {
  const size_t low = bytes->one();
  return low | static_cast<size_t>(bytes->one()) << 8;
}

}  // namespace

UniqueFd sparse_file(Bytes* bytes) {
  constexpr size_t kMost = 4096;  // KiB: as far as the places of pieces go
  UniqueFd fd = nameless_file();
  const size_t length = std::min(number(bytes), kMost) * 1024;
  require(::ftruncate(fd.get(), static_cast<off_t>(length)) == 0, "ftruncate");
  while (!bytes->over()) {
    const size_t at = number(bytes) * kSparsePiece;
    const std::string piece = bytes->some(kSparsePiece);
    if (at + piece.size() > length) continue;
    const ssize_t put = ::pwrite(fd.get(), piece.data(), piece.size(), static_cast<off_t>(at));
    require(put == static_cast<ssize_t>(piece.size()), "pwrite");
  }
  return fd;
}

}  // namespace viewsh
