#pragma once

#include "image.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

/// Reads all of an image: names, attributes, links, contents, attributes by name. Aborts where that
/// breaks a promise of image.h. `nodes` gets those that it came by, at most some hundred.
void check_image(Image& image, std::vector<NodeId>* nodes);

/// Aborts with a line, which the fuzzer then keeps with the bytes that led there.
void require(bool good, const char* what);

/// An empty file without a name.
UniqueFd nameless_file();

}  // namespace viewsh
