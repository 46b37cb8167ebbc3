#pragma once

#define FUSE_USE_VERSION 310
#include <fuse3/fuse_lowlevel.h>

#include "outside/served_tree.h"

namespace viewsh {

/// What libfuse calls for each request. Its userdata is the ServedTree.
fuse_lowlevel_ops make_requests();

/// The part of them that is about open files and directories.
void add_file_requests(fuse_lowlevel_ops* ops);

/// The tree of a request, which from now on works for whoever asked.
ServedTree& tree_of(fuse_req_t req);

struct stat to_stat(const Attr& attr);
fuse_entry_param to_entry(const ServedEntry& entry);
/// For how long the kernel may believe what it was told: others change the host's files, too.
inline constexpr double kBelieved = 1.0;

/// Answers with success or with the error.
void reply(fuse_req_t req, const Result<void>& done);

}  // namespace viewsh
