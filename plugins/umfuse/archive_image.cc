#include "archive_image.h"

#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <climits>
#include <cstring>

namespace viewsh {
namespace {

constexpr long kFuseMagic = 0x65735546;  // FUSE_SUPER_MAGIC: what archives are mounted by elsewhere

statx_timestamp to_statx(const timespec& time) {
  statx_timestamp out{};
  out.tv_sec = time.tv_sec;
  out.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return out;
}

}  // namespace

ArchiveImage::ArchiveImage(std::shared_ptr<const ImageSource> source,
                           std::unique_ptr<ArchiveIndex> index,
                           std::function<Result<std::string>()> scratch, uint64_t keep_limit)
    : source_(std::move(source)), index_(std::move(index)), keep_(std::move(scratch), keep_limit) {}

Result<NodeId> ArchiveImage::lookup(NodeId directory, std::string_view name) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(directory));
  if (!node->is_dir()) return Errno(ENOTDIR);
  if (name.size() > NAME_MAX) return Errno(ENAMETOOLONG);
  const auto found = node->children->find(name);
  if (found == node->children->end()) return Errno(ENOENT);
  return found->second;
}

Result<Attr> ArchiveImage::getattr(NodeId id) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(id));
  Attr attr{};
  attr.stx_mask = STATX_BASIC_STATS;
  attr.stx_mode = static_cast<uint16_t>(node->mode);
  attr.stx_uid = node->uid;
  attr.stx_gid = node->gid;
  attr.stx_nlink = node->links;
  attr.stx_ino = id;
  attr.stx_size = node->size;
  attr.stx_blocks = node->blocks;
  attr.stx_blksize = 4096;
  attr.stx_mtime = to_statx(node->mtime);
  attr.stx_atime = to_statx(node->atime);
  attr.stx_ctime = to_statx(node->ctime);
  attr.stx_rdev_major = major(node->rdev);
  attr.stx_rdev_minor = minor(node->rdev);
  if (node->has_btime) {
    attr.stx_mask |= STATX_BTIME;
    attr.stx_btime = to_statx(node->btime);
  }
  return attr;
}

Result<std::vector<DirEntry>> ArchiveImage::list(NodeId directory) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(directory));
  if (!node->is_dir()) return Errno(ENOTDIR);
  std::vector<DirEntry> out;
  out.reserve(node->children->size());
  for (const auto& [name, id] : *node->children) {
    out.push_back({name, id, type_of_mode(index_->tree->at(id).mode)});
  }
  return out;
}

Result<std::string> ArchiveImage::readlink(NodeId id) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(id));
  if (!S_ISLNK(node->mode)) return Errno(EINVAL);
  return node->target;
}

Result<void> ArchiveImage::extract(NodeId id, int to) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(id));
  if (!S_ISREG(node->mode)) return Errno(EINVAL);
  if (node->size > static_cast<uint64_t>(INT64_MAX)) return Errno(EFBIG);
  if (!source_->unchanged()) return Errno(EIO);
  if (node->size > 0) {
    TRY_ASSIGN(const NodeLocks::Hold alone, hold_node(turn_.get(), ArchiveTree::kRoot));
    TRY(extract_in_turn(id, *node, to));
  }
  return from_libc(::ftruncate(to, static_cast<off_t>(node->size)));
}

Result<void> ArchiveImage::extract_in_turn(NodeId id, const ArchiveNode& node, int to) {
  if (node.data_at >= 0) {
    return copy_part(source_->fd(), source_->start() + static_cast<uint64_t>(node.data_at),
                     node.size, to, &pace_);
  }
  if (keep_.has(id)) return keep_.take(id, to, &pace_);
  if (node.entry_at >= 0) {
    const Result<void> done = extract_alone(node, to);
    if (done || done.error() == EINTR) return done;
    // What a pass over the entry alone may have left behind is written over. Not where there is
    // nothing: ext4 brings a file to disk, while close(2) waits, that was cut to nothing before.
    TRY(from_libc(::ftruncate(to, 0)));
  }
  return extract_in_order(node, to);
}

bool ArchiveImage::is_slow() const {
  return index_->largest >= kSlow || (index_->skipping_costs && index_->content >= kSlow);
}

void ArchiveImage::share(Suspension* suspension) {
  pace_ = Pace(suspension);
  turn_ = std::make_unique<NodeLocks>(suspension);
}

/// One entry of a zip by its local header. That may say less than the directory at the end does; so
/// a failure only means that it has to be done otherwise.
Result<void> ArchiveImage::extract_alone(const ArchiveNode& node, int to) {
  std::string why;
  auto reader =
      ArchiveReader::open(*source_, "zip", &why, static_cast<uint64_t>(node.entry_at), true);
  if (reader == nullptr) return Errno(EIO);
  reader->set_pace(&pace_);
  const int code = reader->next();
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return Errno(EIO);
  return reader->unpack(to, node.size);
}

void ArchiveImage::keep_passed() {
  // A new pass reads all headers again: who looks in another order, as tar(1) does at an ISO, would
  // have one for nearly every file.
  constexpr uint64_t kFew = 3;
  const uint64_t ordinal = stream_->ordinal();
  if ((!index_->skipping_costs && passes_ <= kFew) || stream_->data_taken()) return;
  const NodeId owner = ordinal < index_->owners.size() ? index_->owners[ordinal] : 0;
  if (owner == 0 || keep_.has(owner)) return;
  const uint64_t size = index_->tree->at(owner).size;
  if (size == 0) return;
  const auto slot = keep_.reserve(size);
  if (!slot) return;
  // It is only on the way: if it can't be read, whoever wants it will hear of it.
  if (stream_->unpack(slot->fd, size, slot->at)) {
    keep_.commit(owner, *slot, size);
  } else {
    // The next one may have holes where this one left something.
    (void)::ftruncate(slot->fd, static_cast<off_t>(slot->at));
  }
}

/// The pass stands at the entry, its data unread, afterwards.
Result<void> ArchiveImage::advance(uint64_t ordinal) {
  const bool behind =
      stream_ != nullptr &&
      (stream_->ordinal() > ordinal || (stream_->ordinal() == ordinal && stream_->data_taken()));
  if (stream_ == nullptr || behind) {
    std::string why;
    stream_ = ArchiveReader::open(*source_, index_->type, &why);
    if (stream_ == nullptr) return Errno(EIO);
    stream_->set_pace(&pace_);
    ++passes_;
  }
  while (stream_->ordinal() < ordinal) {
    if (stream_->ordinal() > 0) keep_passed();
    const int code = stream_->next();
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return Errno(EIO);
  }
  return {};
}

Result<void> ArchiveImage::extract_in_order(const ArchiveNode& node, int to) {
  Result<void> done = advance(node.ordinal);
  if (done) done = stream_->unpack(to, node.size);
  // In which state the library is after an error is not known.
  if (!done) stream_.reset();
  return done;
}

Result<std::vector<std::string>> ArchiveImage::listxattr(NodeId id) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(id));
  std::vector<std::string> names;
  if (!node->xattrs) return names;
  for (const auto& [name, value] : *node->xattrs) names.push_back(name);
  return names;
}

Result<std::string> ArchiveImage::getxattr(NodeId id, const std::string& name) {
  TRY_ASSIGN(const ArchiveNode* node, index_->tree->node(id));
  if (!node->xattrs) return Errno(ENODATA);
  const auto found = node->xattrs->find(name);
  if (found == node->xattrs->end()) return Errno(ENODATA);
  return found->second;
}

Result<struct statfs> ArchiveImage::statfs() {
  constexpr uint64_t kIsoBlock = 2048;
  constexpr uint64_t kBlock = 512;
  const bool iso = index_->type == "iso9660";
  const uint64_t block = iso ? kIsoBlock : kBlock;
  struct statfs out {};
  out.f_type = iso ? static_cast<long>(ISOFS_SUPER_MAGIC) : kFuseMagic;
  out.f_bsize = static_cast<long>(block);
  out.f_frsize = static_cast<long>(block);
  out.f_blocks = (source_->size() + block - 1) / block;
  out.f_files = index_->tree->count();
  out.f_namelen = NAME_MAX;
  return out;
}

}  // namespace viewsh
