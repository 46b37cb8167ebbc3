#pragma once

#include "image.h"

namespace viewsh {

/// Makes the content of a regular file of an image what the file `from` holds; parts that are equal
/// are not written, holes stay or become holes. True: something was different. ENOSPC, EIO: a part
/// is done.
Result<bool> copy_into_image(WritableImage& image, NodeId node, int from);

}  // namespace viewsh
