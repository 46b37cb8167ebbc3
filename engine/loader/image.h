#pragma once

#include <cstdint>

namespace viewsh::loader {

/// An ELF file in memory.
struct Image {
  uint64_t bias = 0;  ///< what was added to the file's addresses
  uint64_t entry = 0;
  uint64_t headers = 0;  ///< address of the program headers; 0: not loaded
  uint64_t header_count = 0;
  uint64_t code_begin = 0;
  uint64_t code_end = 0;
  uint64_t data_begin = 0;
  uint64_t data_end = 0;
  uint64_t end = 0;  ///< of the last segment, where the heap is to begin
  bool executable_stack = false;
};

/// Opens `path` and maps its PT_LOAD segments as fs/binfmt_elf.c does: ET_EXEC where it says,
/// ET_DYN at `hint` where that is free (0: anywhere). Ends the process if that can't be done.
Image map_image(const char* path, uint64_t hint);

}  // namespace viewsh::loader
