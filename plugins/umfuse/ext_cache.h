#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>
#include <vector>

#include "ext_device.h"
#include "viewsh/result.h"

namespace viewsh {

/// The blocks of an image's metadata in memory. What is written stays here until a commit takes it;
/// what was only read goes when there is more of it than the bound says. File content doesn't come
/// this way.
class ExtCache {
 public:
  /// `bound`: bytes of blocks that were read and not written. `device` outlives this.
  ExtCache(ExtDevice* device, size_t bound) : device_(device), bound_(bound) {}

  /// Bytes of a block from now on. Nothing may be dirty.
  void set_block_size(unsigned size);
  unsigned block_size() const { return block_size_; }

  /// EIO, too, for what lies past the device's end.
  Result<void> read(uint64_t position, size_t size, void* to);
  Result<void> write(uint64_t position, size_t size, const void* from);

  /// The block holds no metadata any more, what was written to it needs not go to the device.
  void forget(uint64_t block);
  /// As forget(), after its content went to the device: it is file content from now on.
  Result<void> settle(uint64_t block);

  /// A block that a commit has to bring to the device.
  struct Dirty {
    uint64_t block;
    const char* data;
  };
  /// In ascending order; valid until the next call of another function.
  std::vector<Dirty> dirty() const;
  size_t dirty_count() const { return dirty_count_; }
  /// The device has them all.
  void clean_all();
  /// The device has this one.
  void clean(uint64_t block);

  ExtDevice& device() { return *device_; }

 private:
  struct Entry {
    std::unique_ptr<char[]> data;
    bool dirty = false;
    std::list<uint64_t>::iterator age;  ///< of clean ones
  };

  Result<Entry*> get(uint64_t block, bool load);
  void evict();
  void drop(std::unordered_map<uint64_t, Entry>::iterator it);

  ExtDevice* device_;
  size_t bound_;
  unsigned block_size_ = 1024;
  std::unordered_map<uint64_t, Entry> blocks_;
  std::list<uint64_t> ages_;  ///< clean ones, the last used in front
  size_t dirty_count_ = 0;
};

}  // namespace viewsh
