#pragma once

#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ext_device.h"
#include "image.h"
#include "image_source.h"
#include "viewsh/plugin.h"

namespace viewsh {

/// How an image is to be opened.
struct ImageRequest {
  std::string type;  ///< "auto": by content
  std::map<std::string, std::string>
      options;            ///< without those of every mount, and those of a part
  bool writable = false;  ///< the source can be written, and is to be
  /// Hears of what is written to the source then; outlives the image. May be null.
  ExtAround* around = nullptr;
  std::string at;         ///< where it is mounted
  uid_t uid = geteuid();  ///< who the user is in the view
  gid_t gid = getegid();
  /// A directory of the view's own for temporary files, on a disk. Made when it is first asked for.
  std::function<Result<std::string>()> scratch;
  /// Gets a line for the user about an image that could be opened all the same. May be null.
  std::string* note = nullptr;
};

/// A family of formats.
struct ImageFormat {
  std::vector<std::string_view> types;
  bool writable = false;  ///< what open() gives is a WritableImage
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

/// The format of *type or, where that is "auto", of what is there, which *type is then. Null:
/// `error` is filled.
const ImageFormat* find_format(const ImageSource& source, std::string* type, MountError* error);

/// Opens an image of a given type or, with "auto", of the one that its content says. Null: `error`
/// is filled.
std::unique_ptr<Image> open_image(std::shared_ptr<const ImageSource> source,
                                  const ImageRequest& request, MountError* error);

}  // namespace viewsh
