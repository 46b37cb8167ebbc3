#pragma once

#include <string>
#include <string_view>

#include "image_source.h"

namespace viewsh {

/// Does libarchive come to an end with the headers of an archive? Some that are broken lead it in a
/// circle (xar, rar and ISO readers of version 3.6), which nothing in this process could end; so a
/// child reads them first, with as much processor time as they may take. Formats of which no such
/// thing is known are let through after the first header. Empty: it does; else why not.
/// `all`: of all headers; else of the first.
std::string headers_end(const ImageSource& source, std::string_view type, bool all);

}  // namespace viewsh
