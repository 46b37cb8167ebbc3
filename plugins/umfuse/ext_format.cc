// ext2, ext3 and ext4 as types of a mount.
#include <unistd.h>

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

std::unique_ptr<Image> open(std::shared_ptr<const ImageSource> source, const ImageRequest& request,
                            MountError* error) {
  for (const auto& [key, value] : request.options) {
    if (value.empty() && (key == "user_xattr" || key == "acl")) continue;
    *error = {Errno(EINVAL), "unknown option '" + key + "'"};
    return nullptr;
  }
  ExtOptions options;
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
