// ext2, ext3 and ext4 as types of a mount.
#include <unistd.h>

#include <algorithm>
#include <array>

#include "ext_image.h"
#include "open_image.h"

namespace viewsh {
namespace {

std::string_view detect(const ImageSource& source) {
  constexpr uint64_t kMagicAt = 1024 + 56;  // s_magic of the superblock
  std::array<unsigned char, 2> magic{};
  const Result<size_t> n = source.pread(magic.data(), magic.size(), kMagicAt);
  const bool is_ext = n && *n == magic.size() && magic[0] == 0x53 && magic[1] == 0xef;
  return is_ext ? "ext4" : "";
}

/// Options of ext4(5) that say when something is brought to disk, how fast, or which older way is
/// taken: nothing of it shows in an image that viewsh has. "key" alone, "key=" with a value.
constexpr std::string_view kWithoutEffect[] = {
    "acl",
    "auto_da_alloc",
    "barrier",
    "block_validity",
    "bsddf",
    "delalloc",
    "discard",
    "i_version",
    "init_itable",
    "journal_async_commit",
    "lazytime",
    "nobarrier",
    "noblock_validity",
    "nodelalloc",
    "nodiscard",
    "nogrpid",
    "noinit_itable",
    "nolazytime",
    "noquota",
    "sysvgroups",
    "user_xattr",
    "barrier=",
    "commit=",
    "data=",
    "inode_readahead_blks=",
    "init_itable=",
    "journal_ioprio=",
    "max_batch_time=",
    "min_batch_time=",
    "stripe=",
};

/// "": it was taken; else why not.
std::string take(const std::string& key, const std::string& value, bool writable,
                 ExtOptions* options) {
  const std::string shape = value.empty() ? key : key + "=";
  if (std::find(std::begin(kWithoutEffect), std::end(kWithoutEffect), shape) !=
      std::end(kWithoutEffect))
    return {};
  if (shape == "errors=") {
    using Errors = ExtOptions::Errors;
    if (value != "continue" && value != "remount-ro" && value != "panic")
      return "errors must be continue, remount-ro or panic, not '" + value + "'";
    // There is no machine to stop: nothing is changed any more, as by remount-ro.
    options->errors = value == "continue" ? Errors::kContinue : Errors::kRemountRo;
    return {};
  }
  if (shape == "noload" || shape == "norecovery")
    return writable ? shape + " needs ro" : std::string();
  return "unknown option '" + key + "'";
}

std::unique_ptr<Image> open(std::shared_ptr<const ImageSource> source, const ImageRequest& request,
                            MountError* error) {
  ExtOptions options;
  for (const auto& [key, value] : request.options) {
    const std::string wrong = take(key, value, request.writable, &options);
    if (wrong.empty()) continue;
    *error = {Errno(EINVAL), wrong};
    return nullptr;
  }
  options.ro = !request.writable;
  options.uid = request.uid;
  options.gid = request.gid;
  options.last_mounted = request.at;
  options.offset = source->start();
  options.sizelimit = source->size();
  options.around = request.around;
  std::string why;
  Result<std::unique_ptr<ExtImage>> image = ExtImage::open(source->fd(), options, &why);
  if (!image) {
    *error = {image.error(), why.empty() ? image.error().message() : why};
    return nullptr;
  }
  if (request.note != nullptr) *request.note = why;
  return std::move(*image);
}

}  // namespace

ImageFormat ext_format() { return {{"ext2", "ext3", "ext4"}, true, detect, open}; }

}  // namespace viewsh
