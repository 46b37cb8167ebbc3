#include "ext_io.h"

#include <cstdlib>
#include <cstring>

#include "ext_error.h"

namespace viewsh {
namespace {

thread_local ExtCache* next_cache = nullptr;

ExtCache* cache_of(io_channel channel) { return static_cast<ExtCache*>(channel->private_data); }

errcode_t io_open(const char* name, int, io_channel* channel) {
  if (next_cache == nullptr) return EXT2_ET_BAD_DEVICE_NAME;
  // ext2fs_get_mem() is malloc(3): libext2fs frees neither, io_close() does.
  auto* made = static_cast<io_channel>(std::calloc(1, sizeof(struct struct_io_channel)));
  if (made == nullptr) return EXT2_ET_NO_MEMORY;
  made->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  made->manager = ext_io_manager();
  made->name = ::strdup(name);
  made->block_size = 1024;
  made->refcount = 1;
  made->private_data = next_cache;
  next_cache = nullptr;
  *channel = made;
  return 0;
}

errcode_t io_close(io_channel channel) {
  if (--channel->refcount > 0) return 0;
  std::free(channel->name);
  std::free(channel);
  return 0;
}

errcode_t io_set_blksize(io_channel channel, int size) {
  channel->block_size = size;
  return 0;
}

/// A negative count is one of bytes.
size_t bytes_of(io_channel channel, int count) {
  return count < 0 ? static_cast<size_t>(-static_cast<long>(count))
                   : static_cast<size_t>(count) * static_cast<size_t>(channel->block_size);
}

/// False: the block's position isn't one.
bool position_of(io_channel channel, unsigned long long block, uint64_t* position) {
  return !__builtin_mul_overflow(static_cast<uint64_t>(block),
                                 static_cast<uint64_t>(channel->block_size), position);
}

errcode_t io_read(io_channel channel, unsigned long long block, int count, void* data) {
  uint64_t position = 0;
  const size_t size = bytes_of(channel, count);
  Result<void> done = Errno(EIO);
  if (position_of(channel, block, &position)) done = cache_of(channel)->read(position, size, data);
  if (done) return 0;
  std::memset(data, 0, size);  // some callers go on regardless
  return ext_code(done.error());
}

errcode_t io_write(io_channel channel, unsigned long long block, int count, const void* data) {
  uint64_t position = 0;
  if (!position_of(channel, block, &position)) return EIO;
  const auto done = cache_of(channel)->write(position, bytes_of(channel, count), data);
  return done ? 0 : ext_code(done.error());
}

errcode_t io_read32(io_channel channel, unsigned long block, int count, void* data) {
  return io_read(channel, block, count, data);
}

errcode_t io_write32(io_channel channel, unsigned long block, int count, const void* data) {
  return io_write(channel, block, count, data);
}

/// Commits bring blocks to the device, never libext2fs.
errcode_t io_flush(io_channel) { return 0; }

errcode_t io_readahead(io_channel, unsigned long long, unsigned long long) { return 0; }

struct_io_manager make_manager() {
  struct_io_manager manager = {};
  manager.magic = EXT2_ET_MAGIC_IO_MANAGER;
  manager.name = "viewsh";
  manager.open = io_open;
  manager.close = io_close;
  manager.set_blksize = io_set_blksize;
  manager.read_blk = io_read32;
  manager.write_blk = io_write32;
  manager.flush = io_flush;
  manager.read_blk64 = io_read;
  manager.write_blk64 = io_write;
  manager.cache_readahead = io_readahead;
  return manager;
}

}  // namespace

io_manager ext_io_manager() {
  static struct_io_manager manager = make_manager();
  return &manager;
}

void ext_io_next(ExtCache* cache) { next_cache = cache; }

}  // namespace viewsh
