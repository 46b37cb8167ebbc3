#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "viewsh/device.h"

namespace viewsh {

/// stat(2) of a device node that is made with the view: one name, of root, as under /dev.
/// `type` is S_IFCHR or S_IFBLK. The engine gives the node its device and inode number.
Attr node_attr(mode_t type, mode_t permissions, unsigned major, unsigned minor);

/// The decimal number that a path ends in; 0 if there is none. "/dev/ram7" is 7.
unsigned trailing_number(std::string_view path);

/// An octal `mode` of the request's options, else `standard`. False: it is none.
bool option_mode(const DeviceRequest& request, mode_t standard, mode_t* out);

}  // namespace viewsh
