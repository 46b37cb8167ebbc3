#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ext_error.h"
#include "ext_image.h"
#include "ext_inline.h"
#include "ext_time.h"

namespace viewsh {
namespace {

/// Bytes that are written between two moments at which a commit may come.
constexpr size_t kPart = size_t{1} << 20;

Result<void> write_to(int fd, const char* from, size_t size, uint64_t offset) {
  while (size > 0) {
    const ssize_t put = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Errno::last();
    from += put;
    offset += static_cast<uint64_t>(put);
    size -= static_cast<size_t>(put);
  }
  return {};
}

}  // namespace

/// The whole part lies inside the file.
Result<void> ExtImage::read_part(NodeId id, const ExtInode& inode, char* to, size_t size,
                                 uint64_t offset) {
  const uint64_t block = fs_->block_size();
  while (size > 0) {
    const uint64_t at = offset / block;
    const uint64_t blocks = (offset + size + block - 1) / block - at;
    TRY_ASSIGN(const ExtMap::Piece piece, map_->find(id, inode, at, blocks));
    const size_t in = offset % block;
    const size_t part = std::min<uint64_t>(size, piece.count * block - in);
    if (piece.block == 0 || piece.unwritten) {
      std::memset(to, 0, part);
    } else {
      TRY(fs_->device().read(to, part, piece.block * block + in));
    }
    to += part;
    offset += part;
    size -= part;
  }
  return {};
}

Result<size_t> ExtImage::pread(NodeId id, void* to, size_t size, uint64_t offset) {
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  if (S_ISDIR(inode.i_mode)) return Errno(EISDIR);
  if (!S_ISREG(inode.i_mode)) return Errno(EINVAL);
  if (inode.i_flags & EXT4_ENCRYPT_FL) return Errno(ENOKEY);
  const uint64_t end = EXT2_I_SIZE(basic(&inode));
  if (offset >= end) return size_t{0};
  size = std::min<uint64_t>(size, end - offset);
  if (is_inline(inode)) {
    TRY_ASSIGN(const std::vector<char> data, judge(ext_load_inline(fs_.get(), id)));
    if (data.size() < end) return judge<size_t>(Errno(EUCLEAN));
    std::memcpy(to, data.data() + offset, size);
  } else {
    TRY(judge(read_part(id, inode, static_cast<char*>(to), size, offset)));
  }
  touch_access(id);
  return size;
}

Result<void> ExtImage::extract(NodeId id, int to) {
  TRY_ASSIGN(const ExtInode inode, judge(node(id)));
  if (S_ISDIR(inode.i_mode)) return Errno(EISDIR);
  if (!S_ISREG(inode.i_mode)) return Errno(EINVAL);
  const uint64_t end = EXT2_I_SIZE(basic(&inode));
  const uint64_t block = fs_->block_size();
  std::vector<char> buffer(std::max<size_t>(block, std::min<uint64_t>(kPart, end)));
  for (uint64_t offset = 0; offset < end;) {
    uint64_t part = std::min<uint64_t>(buffer.size(), end - offset);
    if (!is_inline(inode)) {
      const uint64_t at = offset / block;
      const uint64_t blocks = (end + block - 1) / block - at;
      TRY_ASSIGN(const ExtMap::Piece piece, judge(map_->find(id, inode, at, blocks)));
      const uint64_t reach = std::min(end, (at + piece.count) * block);
      if (piece.block == 0 || piece.unwritten) {
        offset = reach;
        continue;
      }
      part = std::min(part, reach - offset);
    }
    TRY_ASSIGN(const size_t got, pread(id, buffer.data(), part, offset));
    TRY(write_to(to, buffer.data(), got, offset));
    offset += got;
  }
  return from_libc(::ftruncate(to, static_cast<off_t>(end)));
}

/// A small file leaves its inode for a block of its own; *inode is loaded anew.
Result<void> ExtImage::leave_inode(NodeId id, ExtInode* inode) {
  TRY_ASSIGN(std::vector<char> data, ext_load_inline(fs_.get(), id));
  const uint64_t size = EXT2_I_SIZE(basic(inode));
  if (size > data.size() || size > fs_->block_size()) return Errno(EUCLEAN);
  std::vector<char> block(fs_->block_size());
  std::memcpy(block.data(), data.data(), size);
  TRY(ext_move_out(fs_.get(), map_.get(), id, &block));
  TRY_ASSIGN(*inode, fs_->load(id));
  return {};
}

/// Zeros for [from, to), which lies in one block, if that is on disk.
Result<void> ExtImage::zero_part(NodeId id, ExtInode* inode, uint64_t from, uint64_t to) {
  if (from >= to) return {};
  const uint64_t block = fs_->block_size();
  TRY_ASSIGN(const ExtMap::Piece piece, map_->find(id, *inode, from / block, 1));
  if (piece.block == 0 || piece.unwritten) return {};
  const std::vector<char> zeros(to - from);
  return fs_->device().write(zeros.data(), zeros.size(), piece.block * block + from % block);
}

/// What lies in one piece of the file, or in one hole; the value is how much that is.
Result<size_t> ExtImage::write_part(NodeId id, ExtInode* inode, const char* from, size_t size,
                                    uint64_t offset) {
  const uint64_t block = fs_->block_size();
  const uint64_t at = offset / block;
  const uint64_t blocks = (offset + size + block - 1) / block - at;
  TRY_ASSIGN(ExtMap::Piece piece, map_->find(id, *inode, at, blocks));
  const bool hole = piece.block == 0;
  if (hole) {
    TRY_ASSIGN(piece, map_->fill(id, inode, at, piece.count, false));
  }
  const size_t in = offset % block;
  const size_t part = std::min<uint64_t>(size, piece.count * block - in);
  Result<void> written;
  if (!hole && !piece.unwritten) {
    TRY(fs_->device().write(from, part, piece.block * block + in));
    return part;
  }
  const size_t whole = (in + part + block - 1) / block * block;
  if (whole == part) {
    written = fs_->device().write(from, part, piece.block * block);
  } else {
    std::vector<char> buffer(whole);
    std::memcpy(buffer.data() + in, from, part);
    written = fs_->device().write(buffer.data(), whole, piece.block * block);
  }
  if (!written) {
    // Nobody may ever see what is in these blocks.
    if (hole) TRY(map_->punch(id, inode, at, at + piece.count));
    return written.error();
  }
  if (!hole) TRY(map_->set_written(id, inode, at, whole / block));
  return part;
}

Result<size_t> ExtImage::write_all(NodeId id, const char* from, size_t size, uint64_t offset) {
  const uint64_t block = fs_->block_size();
  size_t done = 0;
  while (done < size) {
    TRY_ASSIGN(ExtInode inode, node(id));
    const uint64_t end = EXT2_I_SIZE(basic(&inode));
    const uint64_t at = offset + done;
    const size_t part = std::min<size_t>(size - done, kPart);
    if (at > end && end % block != 0) {
      TRY(zero_part(id, &inode, end, std::min(at, (end / block + 1) * block)));
    }
    const auto put = write_part(id, &inode, from + done, part, at);
    if (put && at + *put > end) {
      TRY_EXT(
          ext2fs_inode_size_set(fs_->lib(), basic(&inode), static_cast<ext2_off64_t>(at + *put)));
    }
    if (put) {
      const timespec now = ext_now();
      ext_set_time(*fs_, &inode, ExtTime::kModify, now);
      ext_set_time(*fs_, &inode, ExtTime::kChange, now);
    }
    TRY(fs_->store(id, inode));
    if (!put && done == 0) return put.error();
    if (!put) break;
    done += *put;
    if (done < size) TRY(begin(kPart / block));
  }
  return done;
}

Result<size_t> ExtImage::pwrite(NodeId id, const void* from, size_t size, uint64_t offset) {
  if (!fs_->writable()) return Errno(EROFS);
  TRY_ASSIGN(ExtInode inode, judge(node(id)));
  if (S_ISDIR(inode.i_mode)) return Errno(EISDIR);
  if (!S_ISREG(inode.i_mode)) return Errno(EINVAL);
  if (inode.i_flags & EXT2_IMMUTABLE_FL) return Errno(EPERM);
  if ((inode.i_flags & EXT2_APPEND_FL) && offset < EXT2_I_SIZE(basic(&inode))) return Errno(EPERM);
  if (size == 0) return size_t{0};
  const uint64_t limit = map_->max_size(inode);
  if (offset >= limit) return Errno(EFBIG);
  size = std::min<uint64_t>(size, limit - offset);
  TRY(begin(std::min(size, kPart) / fs_->block_size() + 2));
  if (is_inline(inode)) TRY(judge(leave_inode(id, &inode)));
  return judge(write_all(id, static_cast<const char*>(from), size, offset));
}

}  // namespace viewsh
