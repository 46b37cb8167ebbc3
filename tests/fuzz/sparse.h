#pragma once

#include "bytes.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// An image in few bytes, so that a change of any hits something: its length as a number of KiB,
/// then pieces of 64 bytes, each after its place, which is a number of such pieces; numbers have
/// two bytes, the low one first. What isn't told is zeros, a later piece covers an earlier one.
/// make_seeds writes it.
constexpr size_t kSparsePiece = 64;
UniqueFd sparse_file(Bytes* bytes);

}  // namespace viewsh
