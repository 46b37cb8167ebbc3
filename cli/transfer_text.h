#pragma once

#include <string>

#include "engine.h"
#include "viewsh/layer.h"

namespace viewsh {

/// How a file with this name is compressed: .gz .tgz, .zst .tzst; else not at all.
Compression compression_by_name(const std::string& file);
/// "zstd", "gzip", "none".
UserError parse_compression(const std::string& text, Compression* out);
/// Says what went through, the losses on standard error; the status to exit with. `text`: what was
/// done, empty where standard output is the archive.
int tell_transfer(const std::string& text, const LayerStore::Answer<TransferReport>& answer,
                  bool json);

}  // namespace viewsh
