#pragma once

#include <vector>

#include "image.h"
#include "image_written.h"

namespace viewsh {

struct Copied {
  bool changed = false;   ///< something was different
  uint64_t compared = 0;  ///< bytes that were looked at for that
  bool blind = false;     ///< it may not be read (EACCES): all was written, different or not
};

/// Makes the content of a regular file of an image what the file `from` holds; parts that are equal
/// are not written, holes stay or become holes. `parts`: where alone they may differ, but for the
/// length; null: anywhere. ENOSPC, EIO: a part is done.
Result<Copied> copy_into_image(WritableImage& image, NodeId node, int from,
                               const std::vector<FilePart>* parts);

}  // namespace viewsh
