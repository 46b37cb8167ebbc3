#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "fuse_bytes.h"
#include "fuse_image.h"

namespace viewsh {
namespace {

/// Longer contents are not copied: the largest file of ext4.
constexpr uint64_t kMaxContent = 1ULL << 44;
constexpr size_t kGrain = 4096;

bool all_zero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

Result<void> write_all(int to, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(to, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Errno::last();
    if (written == 0) return Errno(EIO);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += static_cast<size_t>(written);
  }
  return {};
}

/// Zeros stay a hole of the file, which is empty before.
Result<void> write_sparse(int to, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    size_t data = 0;
    while (data < bytes.size() && !all_zero(bytes.substr(data, kGrain))) {
      data += std::min(kGrain, bytes.size() - data);
    }
    TRY(write_all(to, bytes.substr(0, data), offset));
    const size_t step = data + std::min(kGrain, bytes.size() - data);
    offset += step;
    bytes.remove_prefix(step);
  }
  return {};
}

}  // namespace

Result<FuseImage::Handle> FuseImage::open_handle(const Ref& node, int flags) {
  const bool directory = S_ISDIR(node->type);
  const uint32_t opcode = directory ? FUSE_OPENDIR : FUSE_OPEN;
  const uint32_t all = static_cast<uint32_t>(flags) | kFuseLargeFile;
  const auto without = [&] {
    return std::make_shared<FuseHandle>(session_, node->id, fuse_open_out{}, all, directory, false);
  };
  if (session_.lacks(opcode)) return Handle(without());
  fuse_open_in in = {};
  in.flags = all;
  const auto reply = session_.ask(opcode, node->id, {fuse_bytes(in)}, sizeof(fuse_open_out),
                                  sizeof(fuse_open_out));
  if (!reply) {
    if (reply.error() != ENOSYS) return reply.error();
    session_.set_lacks(opcode);
    return Handle(without());
  }
  fuse_open_out out;
  if (!fuse_get(*reply, 0, &out)) return Errno(EIO);
  return std::make_shared<FuseHandle>(session_, node->id, out, all, directory, true);
}

/// The open file of a held node if it allows `mode` (O_RDONLY, O_WRONLY), else one for this use.
Result<FuseImage::Handle> FuseImage::handle_for(const Ref& node, int mode) {
  if (S_ISDIR(node->type)) return Errno(EISDIR);
  if (!S_ISREG(node->type)) return Errno(EINVAL);
  const auto fits = [mode](const Handle& handle) {
    return handle != nullptr && (mode == O_RDONLY ? handle->can_read() : handle->can_write());
  };
  if (fits(node->handle)) return node->handle;
  const auto opened = std::find_if(node->opened.begin(), node->opened.end(), fits);
  if (opened != node->opened.end()) return *opened;
  return open_handle(node, mode);
}

Result<void> FuseImage::hold(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (S_ISREG(node->type) && node->handle == nullptr) {
    auto handle = open_handle(node, O_RDWR);
    const int error = handle.error().value();
    if (error == EACCES || error == EPERM || error == EROFS || error == ETXTBSY) {
      handle = open_handle(node, O_RDONLY);
    }
    if (!handle) return handle.error();
    // Other calls may have opened it meanwhile, or made it go.
    if (!nodes_.current(node)) return Errno(ESTALE);
    if (node->handle == nullptr) node->handle = *handle;
  }
  ++node->holds;
  return {};
}

Result<void> FuseImage::release(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find_any(id));
  if (node->holds == 0) return Errno(EINVAL);
  if (--node->holds != 0) return {};
  node->opened = {};
  Handle handle = std::move(node->handle);
  node->handle = nullptr;
  Result<void> flushed;
  if (handle != nullptr) flushed = handle->flush();
  handle.reset();  // the server hears of that before it forgets
  if (node->attr.nlink == 0 && node->holds == 0 && nodes_.current(node)) nodes_.forget(id);
  return flushed;
}

Result<bool> FuseImage::opens(NodeId id, int flags) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (!S_ISREG(node->type) || std::exchange(node->fresh, false)) return false;
  // The engine writes at places of its own choice. O_TRUNC is another request.
  const int access = flags & O_ACCMODE;
  TRY_ASSIGN(Handle handle, open_handle(node, access | (flags & (O_SYNC | O_NOATIME))));
  if (!nodes_.current(node)) return Errno(ESTALE);
  bool keeps = handle->keeps_cache() && !std::exchange(node->content_old, false);
  if (keeps && session_.has(FUSE_AUTO_INVAL_DATA)) {
    if (!nodes_.fresh(*node)) TRY(refresh(node));
    keeps = !content_changed(id);
  }
  // Nobody waits for the end of the one before.
  if (access < 3) node->opened[static_cast<size_t>(access)] = std::move(handle);
  if (!keeps) nodes_.stale(node.get());
  return !keeps;
}

bool FuseImage::content_changed(NodeId id) {
  const auto found = nodes_.find_any(id);
  if (!found) return false;
  const FuseNode& node = **found;
  const fuse_attr& attr = node.attr;
  return node.content_known &&
         (node.content_size != attr.size || node.content_mtime != attr.mtime ||
          node.content_nsec != attr.mtimensec);
}

/// What is written here changes size and time as well: that is no news.
void FuseImage::note_content(FuseNode* node) {
  node->content_size = node->attr.size;
  node->content_mtime = node->attr.mtime;
  node->content_nsec = node->attr.mtimensec;
  node->content_known = true;
  node->content_old = false;
}

/// fuse_flush(): of one that isn't open there is nothing to tell.
Result<void> FuseImage::flush(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find_any(id));
  const auto opened = node->opened;
  Result<void> first;
  for (const Handle& handle : opened) {
    if (handle == nullptr) continue;
    if (const auto done = handle->flush(); !done && first.ok()) first = done;
  }
  return first;
}

void FuseImage::closed(NodeId id) {
  const auto node = nodes_.find_any(id);
  if (!node) return;
  (*node)->fresh = false;
  (*node)->opened = {};
}

/// After a use of a handle that may be for this use only.
Result<void> FuseImage::finish(const Ref& node, const Handle& handle) {
  const bool stays = std::count(node->opened.begin(), node->opened.end(), handle) != 0;
  if (node->handle == handle || stays) return {};
  return handle->flush();
}

Result<size_t> FuseImage::read_once(const FuseHandle& handle, char* to, size_t size,
                                    uint64_t offset) {
  TRY(session_.ready());
  const auto part = static_cast<uint32_t>(std::min<size_t>(size, session_.max_read()));
  fuse_read_in in = {};
  in.fh = handle.fh();
  in.offset = offset;
  in.size = part;
  in.flags = handle.flags();
  TRY_ASSIGN(const std::string reply,
             session_.ask(FUSE_READ, handle.node(),
                          {fuse_bytes(in).substr(0, session_.read_in_size())}, 0, part));
  std::copy(reply.begin(), reply.end(), to);
  return reply.size();
}

Result<size_t> FuseImage::pread(NodeId id, void* to, size_t size, uint64_t offset) {
  if (offset > INT64_MAX || size > INT64_MAX - offset) return Errno(EINVAL);
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  TRY_ASSIGN(const Handle handle, handle_for(node, O_RDONLY));
  size_t done = 0;
  while (done < size) {
    const size_t asked = std::min<size_t>(size - done, session_.max_read());
    const auto got = read_once(*handle, static_cast<char*>(to) + done, asked, offset + done);
    if (!got && done == 0) return got;
    if (!got) break;
    done += *got;
    if (*got == 0 || (*got < asked && !handle->direct_io())) break;
  }
  TRY(finish(node, handle));
  return done;
}

Result<size_t> FuseImage::pwrite(NodeId id, const void* from, size_t size, uint64_t offset) {
  if (offset > INT64_MAX || size > INT64_MAX - offset) return Errno(EFBIG);
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  TRY_ASSIGN(const Handle handle, handle_for(node, O_WRONLY));
  TRY(session_.ready());
  unsynced_.emplace(id, false);
  size_t done = 0;
  while (done < size) {
    const auto part = static_cast<uint32_t>(std::min<size_t>(size - done, session_.max_write()));
    fuse_write_in in = {};
    in.fh = handle->fh();
    in.offset = offset + done;
    in.size = part;
    in.flags = handle->flags();
    const std::string_view data(static_cast<const char*>(from) + done, part);
    const auto reply =
        session_.ask(FUSE_WRITE, id, {fuse_bytes(in).substr(0, session_.write_in_size()), data},
                     sizeof(fuse_write_out), sizeof(fuse_write_out));
    nodes_.stale(id);
    fuse_write_out out = {};
    if (reply && (!fuse_get(*reply, 0, &out) || out.size > part)) return Errno(EIO);
    if (!reply && done == 0) return reply.error();
    done += out.size;
    if (out.size < part) break;
  }
  if (done == 0 && size != 0) return Errno(EIO);
  TRY(finish(node, handle));
  return done;
}

Result<uint64_t> FuseImage::seek_handle(const FuseHandle& handle, uint64_t offset, int whence) {
  if (session_.lacks(FUSE_LSEEK)) return Errno(EOPNOTSUPP);
  fuse_lseek_in in = {};
  in.fh = handle.fh();
  in.offset = offset;
  in.whence = static_cast<uint32_t>(whence);
  const auto reply =
      session_.optional<std::string>(FUSE_LSEEK,
                                     session_.ask(FUSE_LSEEK, handle.node(), {fuse_bytes(in)},
                                                  sizeof(fuse_lseek_out), sizeof(fuse_lseek_out)),
                                     Errno(EOPNOTSUPP));
  if (!reply) return reply.error();
  fuse_lseek_out out;
  if (!fuse_get(*reply, 0, &out) || out.offset < offset || out.offset > INT64_MAX) {
    return Errno(EIO);
  }
  return out.offset;
}

Result<uint64_t> FuseImage::seek(NodeId id, uint64_t offset, int whence) {
  if ((whence != SEEK_DATA && whence != SEEK_HOLE) || offset > INT64_MAX) return Errno(EINVAL);
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  TRY_ASSIGN(const Handle handle, handle_for(node, O_RDONLY));
  const auto found = seek_handle(*handle, offset, whence);
  TRY(finish(node, handle));
  return found;
}

/// Copies up to `end` or the end of the file. What comes back is where it ended.
Result<uint64_t> FuseImage::copy_range(const FuseHandle& handle, int to, uint64_t from,
                                       uint64_t end) {
  std::string buffer(session_.max_read(), '\0');
  while (from < end) {
    const auto part = static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - from));
    TRY_ASSIGN(const size_t got, read_once(handle, buffer.data(), part, from));
    TRY(write_sparse(to, std::string_view(buffer).substr(0, got), from));
    from += got;
    if (got == 0 || (got < part && !handle.direct_io())) break;
  }
  return from;
}

/// A file of a known size, without its holes where the server tells of them.
Result<uint64_t> FuseImage::copy_all(const FuseHandle& handle, int to, uint64_t size) {
  uint64_t at = 0;
  while (at < size) {
    const auto data = seek_handle(handle, at, SEEK_DATA);
    if (data.error() == ENXIO) return size;
    if (!data) return copy_range(handle, to, at, size);
    if (*data >= size) return size;
    const auto hole = seek_handle(handle, *data, SEEK_HOLE);
    // No data between them: it says nothing to go by.
    if (!hole || *hole <= *data) return copy_range(handle, to, at, size);
    const uint64_t end = std::min(*hole, size);
    TRY_ASSIGN(const uint64_t reached, copy_range(handle, to, *data, end));
    if (reached < end) return reached;
    at = end;
  }
  return at;
}

Result<void> FuseImage::extract(NodeId id, int to) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  TRY_ASSIGN(const Handle handle, handle_for(node, O_RDONLY));
  if (!nodes_.fresh(*node)) TRY(refresh_open(node));
  note_content(node.get());
  const uint64_t size = node->attr.size;
  if (size > kMaxContent) return Errno(EFBIG);
  uint64_t end = 0;
  if (handle->direct_io()) {
    // What the server says of the size counts for others only: as cat(1) reads it; but one that
    // never ends doesn't fill the disk.
    const auto most = static_cast<uint64_t>(session_.options().max_unknown);
    TRY_ASSIGN(end, copy_range(*handle, to, 0, most + 1));
    if (end > most) return Errno(EFBIG);
  } else {
    TRY_ASSIGN(end, copy_all(*handle, to, size));
  }
  TRY(from_libc(::ftruncate(to, static_cast<off_t>(end))));
  return finish(node, handle);
}

Result<void> FuseImage::fallocate(NodeId id, int mode, uint64_t offset, uint64_t size) {
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    return Errno(EOPNOTSUPP);
  }
  if (size == 0 || offset > INT64_MAX || size > INT64_MAX - offset) return Errno(EINVAL);
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (session_.lacks(FUSE_FALLOCATE)) return Errno(EOPNOTSUPP);
  TRY_ASSIGN(const Handle handle, handle_for(node, O_WRONLY));
  fuse_fallocate_in in = {};
  in.fh = handle->fh();
  in.offset = offset;
  in.length = size;
  in.mode = static_cast<uint32_t>(mode);
  const auto done = session_.optional<void>(
      FUSE_FALLOCATE, session_.ask_nothing(FUSE_FALLOCATE, id, {fuse_bytes(in)}),
      Errno(EOPNOTSUPP));
  nodes_.stale(id);
  unsynced_.emplace(id, false);
  TRY(finish(node, handle));
  return done;
}

/// Any that is open will do.
Result<FuseImage::Handle> FuseImage::handle_to_sync(const Ref& node) {
  if (S_ISDIR(node->type)) return open_handle(node, O_RDONLY | O_DIRECTORY);
  if (node->handle != nullptr) return node->handle;
  const auto handle = open_handle(node, O_RDONLY);
  if (handle.error() != EACCES) return handle;
  return open_handle(node, O_WRONLY);
}

Result<void> FuseImage::sync_node(NodeId id, bool directory) {
  const uint32_t opcode = directory ? FUSE_FSYNCDIR : FUSE_FSYNC;
  const auto node = nodes_.find(id);
  // What was forgotten meanwhile had lost its name.
  if (!node) return {};
  // Nothing else can be opened, and the kernel has no such call for it either.
  if (!directory && !S_ISREG((*node)->type)) return {};
  if (session_.lacks(opcode)) return {};
  const auto handle = handle_to_sync(*node);
  if (!handle) {
    // Nobody can open it any more; sync(2) of the kernel asks for no such thing anyway.
    const int error = handle.error().value();
    if (error == ENOENT || error == ESTALE || error == EACCES || error == EPERM) return {};
    return handle.error();
  }
  fuse_fsync_in in = {};
  in.fh = (*handle)->fh();
  return session_.optional<void>(opcode, session_.ask_nothing(opcode, id, {fuse_bytes(in)}), {});
}

/// FUSE_SYNCFS, which few servers know; else what was changed since the last time, one by one.
Result<void> FuseImage::sync() {
  if (unsynced_.empty()) return {};
  std::set<std::pair<NodeId, bool>> changed;
  changed.swap(unsynced_);
  if (!session_.lacks(FUSE_SYNCFS)) {
    const std::string padding(sizeof(uint64_t), '\0');
    const auto synced = session_.ask_nothing(FUSE_SYNCFS, FUSE_ROOT_ID, {padding});
    if (synced) return {};
    if (synced.error() != ENOSYS) {
      unsynced_.merge(changed);
      return synced;
    }
    session_.set_lacks(FUSE_SYNCFS);
  }
  Result<void> first;
  for (const auto& [id, directory] : changed) {
    const auto synced = sync_node(id, directory);
    if (synced) continue;
    unsynced_.emplace(id, directory);
    if (first.ok()) first = synced;
  }
  return first;
}

}  // namespace viewsh
