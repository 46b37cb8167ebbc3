#include "open_image.h"

#include <algorithm>

#include "archive_image.h"

namespace viewsh {

const std::vector<ImageFormat>& image_formats() {
  static const std::vector<ImageFormat> kFormats = {ext_format(), archive_format()};
  return kFormats;
}

const ImageFormat* find_format(const ImageSource& source, std::string* type, MountError* error) {
  const bool any = *type == "auto";
  for (const ImageFormat& format : image_formats()) {
    const auto& types = format.types;
    if (!any && std::find(types.begin(), types.end(), *type) != types.end()) return &format;
    const std::string_view found = any ? format.detect(source) : "";
    if (found.empty()) continue;
    *type = found;
    return &format;
  }
  *error = {Errno(any ? EINVAL : ENODEV),
            any ? "not an image or archive that is known" : "no such type of image"};
  return nullptr;
}

std::unique_ptr<Image> open_image(std::shared_ptr<const ImageSource> source,
                                  const ImageRequest& request, MountError* error) {
  ImageRequest found = request;
  const ImageFormat* format = find_format(*source, &found.type, error);
  return format == nullptr ? nullptr : format->open(std::move(source), found, error);
}

}  // namespace viewsh
