#include "tracee/memory.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstring>

namespace viewsh {

namespace {

constexpr uint64_t kPage = 4096;

iovec remote(uint64_t address, size_t size) {
  return {reinterpret_cast<void*>(address), size};  // NOLINT: an address of another process
}

}  // namespace

Result<size_t> ProcessMemory::read_some(uint64_t address, void* to, size_t size) const {
  iovec local{to, size};
  iovec far = remote(address, size);
  ssize_t n = process_vm_readv(tid_, &local, 1, &far, 1, 0);
  if (n < 0) return Errno(errno == ESRCH ? ESRCH : EFAULT);
  return static_cast<size_t>(n);
}

Result<void> ProcessMemory::write(uint64_t address, const void* from, size_t size) const {
  if (size == 0) return {};
  iovec local{const_cast<void*>(from), size};
  iovec far = remote(address, size);
  ssize_t n = process_vm_writev(tid_, &local, 1, &far, 1, 0);
  if (n != static_cast<ssize_t>(size)) return Errno(EFAULT);
  return {};
}

Result<void> TraceeMemory::read(uint64_t address, void* to, size_t size) const {
  if (size == 0) return {};
  TRY_ASSIGN(size_t n, read_some(address, to, size));
  if (n != size) return Errno(EFAULT);
  return {};
}

Result<std::string> TraceeMemory::read_string(uint64_t address, size_t limit) const {
  std::string out;
  char chunk[kPage];
  // The first piece is short: most texts are, and it must not run over a page's end needlessly.
  size_t piece = 256;
  while (out.size() < limit) {
    uint64_t here = address + out.size();
    size_t to_page_end = static_cast<size_t>(kPage - here % kPage);
    size_t want = std::min({piece, limit - out.size(), sizeof chunk});
    if (want > to_page_end) want = to_page_end;
    TRY_ASSIGN(size_t n, read_some(here, chunk, want));
    if (n == 0) return Errno(EFAULT);
    if (const void* end = memchr(chunk, 0, n)) {
      out.append(chunk, static_cast<size_t>(static_cast<const char*>(end) - chunk));
      return out;
    }
    out.append(chunk, n);
    if (n < want) return Errno(EFAULT);
    piece = kPage;
  }
  return Errno(ENAMETOOLONG);
}

}  // namespace viewsh
