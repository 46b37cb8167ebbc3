#include "layer_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "viewsh/unique_fd.h"

namespace viewsh::viewfs {

namespace {

constexpr const char* kName = "reserve";
constexpr uint64_t kLines = 64 * 1024;
constexpr uint64_t kBlock = 512;  // of st_blocks

}  // namespace

void keep_reserve(int layer_fd, uint64_t log_size) {
  const uint64_t wanted = log_size + kLines;
  const UniqueFd fd(
      openat(layer_fd, kName, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600));
  struct stat st {};
  if (!fd || fstat(fd.get(), &st) < 0 || !S_ISREG(st.st_mode)) return;
  if (static_cast<uint64_t>(st.st_blocks) * kBlock >= wanted) return;
  if (fallocate(fd.get(), 0, 0, static_cast<off_t>(wanted)) < 0 && st.st_blocks == 0) {
    unlinkat(layer_fd, kName, 0);
  }
}

bool spend_reserve(int layer_fd) { return unlinkat(layer_fd, kName, 0) == 0; }

}  // namespace viewsh::viewfs
