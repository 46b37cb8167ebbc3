#include <fcntl.h>

#include <algorithm>
#include <unordered_set>

#include "fuse_bytes.h"
#include "fuse_image.h"

namespace viewsh {
namespace {

constexpr uint32_t kReadSize = 64 << 10;
/// A listing that is longer is taken for one without an end.
constexpr size_t kMaxListing = 256 << 20;

/// One entry of a reply.
struct Listed {
  bool has_node = false;
  fuse_entry_out entry = {};
  uint64_t ino = 0;
  uint64_t offset = 0;
  uint32_t type = 0;
  std::string_view name;
  size_t length = 0;  ///< of all of it
};

constexpr size_t kNameAt = offsetof(fuse_dirent, name);

/// False: no whole entry is left, which is the end of the reply.
Result<bool> take_entry(std::string_view reply, size_t at, size_t entry_size, bool plus,
                        Listed* listed) {
  const size_t before = plus ? entry_size : 0;
  if (reply.size() - at < before + kNameAt) return false;
  if (plus && !fuse_get_old(reply, at, entry_size, &listed->entry)) return false;
  const size_t start = at + before;
  uint32_t length = 0;
  if (!fuse_get(reply, start + offsetof(fuse_dirent, ino), &listed->ino) ||
      !fuse_get(reply, start + offsetof(fuse_dirent, off), &listed->offset) ||
      !fuse_get(reply, start + offsetof(fuse_dirent, namelen), &length) ||
      !fuse_get(reply, start + offsetof(fuse_dirent, type), &listed->type)) {
    return false;
  }
  if (length == 0 || length > kFuseNameMax) return Errno(EIO);
  listed->length = FUSE_REC_ALIGN(before + kNameAt + length);
  // Servers needn't pad the last one.
  if (reply.size() - start < kNameAt + length) return false;
  listed->name = reply.substr(start + kNameAt, length);
  if (listed->name != "." && listed->name != ".." && !fuse_good_name(listed->name)) {
    return Errno(EIO);
  }
  listed->has_node = plus && listed->entry.nodeid != 0;
  return true;
}

NodeType type_of(uint32_t type) {
  constexpr uint32_t kTypes = 0x1556;  // bits 1, 2, 4, 6, 8, 10, 12
  const bool known = type <= 12 && ((kTypes >> type) & 1) != 0;
  return known ? static_cast<NodeType>(type) : NodeType::kUnknown;
}

}  // namespace

Result<std::vector<DirEntry>> FuseImage::list(NodeId directory) {
  TRY_ASSIGN(const Ref node, nodes_.directory(directory));
  nodes_.make_room();
  TRY_ASSIGN(const Handle handle, open_handle(node, O_RDONLY | O_DIRECTORY));
  std::vector<DirEntry> entries;
  const bool plus = session_.has(FUSE_DO_READDIRPLUS) && !session_.lacks(FUSE_READDIRPLUS);
  TRY(read_listing(*handle, node, plus, &entries));
  return entries;
}

/// Reads on from the offset that the last entry has, as the kernel does. No offset twice: such a
/// listing has no end.
Result<void> FuseImage::read_listing(const FuseHandle& handle, const Ref& directory, bool plus,
                                     std::vector<DirEntry>* entries) {
  std::unordered_set<std::string> names;
  std::unordered_set<uint64_t> offsets;
  size_t bytes = 0;
  fuse_read_in in = {};
  in.fh = handle.fh();
  in.size = std::min(session_.max_read(), kReadSize);
  in.flags = handle.flags();
  while (true) {
    if (!offsets.insert(in.offset).second) return Errno(EIO);
    const uint64_t asked = nodes_.changes();
    const auto reply =
        session_.ask(plus ? FUSE_READDIRPLUS : FUSE_READDIR, directory->id,
                     {fuse_bytes(in).substr(0, session_.read_in_size())}, 0, in.size);
    if (!reply) {
      if (!plus || reply.error() != ENOSYS) return reply.error();
      session_.set_lacks(FUSE_READDIRPLUS);
      offsets.erase(in.offset);
      plus = false;
      continue;
    }
    bytes += reply->size();
    if (bytes > kMaxListing) return Errno(EIO);
    size_t at = 0;
    Listed listed;
    while (at < reply->size()) {
      TRY_ASSIGN(const bool whole, take_entry(*reply, at, session_.entry_size(), plus, &listed));
      if (!whole) break;
      at += listed.length;
      in.offset = listed.offset;
      if (listed.name == "." || listed.name == "..") continue;
      if (listed.has_node) nodes_.enter_listed(directory->id, listed.name, listed.entry, asked);
      if (!names.emplace(listed.name).second) continue;
      entries->push_back({std::string(listed.name), listed.ino, type_of(listed.type)});
    }
    if (at == 0) return {};
  }
}

}  // namespace viewsh
