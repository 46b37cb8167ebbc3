#include "repair.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace viewsh {
namespace {

/// POSIX, ustar Interchange Format: the sum of the bytes, with blanks for the sum itself.
void repair_tar(uint8_t* data, size_t size) {
  constexpr size_t kBlock = 512;
  constexpr size_t kSum = 148;
  constexpr size_t kSumSize = 8;
  constexpr size_t kMagic = 257;
  for (size_t at = 0; at + kBlock <= size; at += kBlock) {
    uint8_t* header = data + at;
    if (std::memcmp(header + kMagic, "ustar", 5) != 0) continue;
    std::fill_n(header + kSum, kSumSize, ' ');
    unsigned sum = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += header[i];
    char text[kSumSize];
    std::snprintf(text, sizeof text, "%06o", sum);
    std::memcpy(header + kSum, text, sizeof text - 1);
  }
}

uint32_t crc32_of(const uint8_t* data, size_t size) {
  uint32_t crc = ~0U;
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0);
  }
  return ~crc;
}

/// 7zFormat.txt: the start header's CRC is at 8 and is of 20 bytes at 12, the last four of which
/// are the CRC of the header that they say the place and size of.
void repair_7z(uint8_t* data, size_t size) {
  constexpr size_t kStart = 32;
  if (size < kStart || std::memcmp(data, "7z\xbc\xaf\x27\x1c", 6) != 0) return;
  uint64_t next = 0;
  uint64_t length = 0;
  std::memcpy(&next, data + 12, sizeof next);
  std::memcpy(&length, data + 20, sizeof length);
  if (next <= size - kStart && length <= size - kStart - next) {
    const uint32_t crc = crc32_of(data + kStart + next, length);
    std::memcpy(data + 28, &crc, sizeof crc);
  }
  const uint32_t crc = crc32_of(data + 12, 20);
  std::memcpy(data + 8, &crc, sizeof crc);
}

}  // namespace

void repair_checksums(uint8_t* data, size_t size) {
  if (size < 2) return;
  repair_tar(data + 1, size - 1);
  repair_7z(data + 1, size - 1);
}

}  // namespace viewsh
