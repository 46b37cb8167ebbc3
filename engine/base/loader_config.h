#pragma once

#include <cstddef>
#include <cstdint>

namespace viewsh {

/// What the engine tells viewsh-loader: which program to start. Shared by both; freestanding.
///
/// The block lies at a fixed address of the loader's image. The engine fills it in while the task
/// stands at the end of the execve(2) that started the loader. `magic` is there from the beginning:
/// an engine that finds another one has the loader of another version before it.
struct LoaderConfig {
  static constexpr uint64_t kMagic = 0x31726564616f6c76;  // "vloader1"
  static constexpr size_t kTextSize = 8192;

  uint64_t magic;
  char comm[16];         ///< name of the task, see PR_SET_NAME; empty: stays
  uint32_t program;      ///< where in `text` the program's view path begins
  uint32_t interpreter;  ///< and its ELF interpreter's; no text there: none
  uint32_t given;        ///< 1: filled in
  char text[kTextSize];
};

/// The loader's place: below every PIE that Linux places by itself, and in a part of the address
/// space that the sanitizers leave to programs. The linker is told the same numbers.
constexpr uint64_t kLoaderAddress = 0x550000000000;
constexpr uint64_t kLoaderConfigAddress = kLoaderAddress + 0x20000;

}  // namespace viewsh
