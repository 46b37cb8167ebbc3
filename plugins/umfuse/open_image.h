#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image.h"
#include "image_source.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// How an image is to be opened.
struct ImageRequest {
  std::string type;  ///< "auto": by content
  std::map<std::string, std::string>
      options;  ///< without those of every mount, and those of a part
  /// A directory of the view's own for temporary files, on a disk. Made when it is first asked for.
  std::function<Result<std::string>()> scratch;
  /// Gets a line for the user about an image that could be opened all the same. May be null.
  std::string* note = nullptr;
};

/// A family of formats.
struct ImageFormat {
  std::vector<std::string_view> types;
  /// The type of what is there; empty: none of these. Reads a few blocks at most.
  std::string_view (*detect)(const ImageSource& source);
  /// `request.type` is one of `types`. The source outlives the image. Null: `error` is filled, its
  /// text is "why" alone: "not an archive", "unknown option 'x'".
  std::unique_ptr<Image> (*open)(std::shared_ptr<const ImageSource> source,
                                 const ImageRequest& request, MountError* error);
};

ImageFormat ext_format();

/// All of them, in the order in which content is looked at.
const std::vector<ImageFormat>& image_formats();

/// Opens an image of a given type or, with "auto", of the one that its content says. Null: `error`
/// is filled.
std::unique_ptr<Image> open_image(std::shared_ptr<const ImageSource> source,
                                  const ImageRequest& request, MountError* error);

}  // namespace viewsh
