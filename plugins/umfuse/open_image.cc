#include "open_image.h"

#include <algorithm>

#include "archive_image.h"

namespace viewsh {

const std::vector<ImageFormat>& image_formats() {
  static const std::vector<ImageFormat> kFormats = {ext_format(), archive_format()};
  return kFormats;
}

std::unique_ptr<Image> open_image(std::shared_ptr<const ImageSource> source,
                                  const ImageRequest& request, MountError* error) {
  for (const ImageFormat& format : image_formats()) {
    if (request.type == "auto") {
      const std::string_view type = format.detect(*source);
      if (type.empty()) continue;
      ImageRequest found = request;
      found.type = type;
      return format.open(std::move(source), found, error);
    }
    const auto& types = format.types;
    if (std::find(types.begin(), types.end(), request.type) == types.end()) continue;
    return format.open(std::move(source), request, error);
  }
  const bool any = request.type == "auto";
  *error = {Errno(any ? EINVAL : ENODEV),
            any ? "not an image or archive that is known" : "no such type of image"};
  return nullptr;
}

}  // namespace viewsh
