#include "ext_cache.h"

#include <algorithm>
#include <cstring>

namespace viewsh {

void ExtCache::set_block_size(unsigned size) {
  if (size == block_size_) return;
  blocks_.clear();
  ages_.clear();
  dirty_count_ = 0;
  block_size_ = size;
}

Result<ExtCache::Entry*> ExtCache::get(uint64_t block, bool load) {
  auto it = blocks_.find(block);
  if (it != blocks_.end()) {
    if (!it->second.dirty) ages_.splice(ages_.begin(), ages_, it->second.age);
    return &it->second;
  }
  if (block >= device_->size() / block_size_ + (device_->size() % block_size_ != 0)) {
    return Errno(EIO);
  }
  evict();
  Entry entry;
  entry.data = std::make_unique<char[]>(block_size_);
  if (load) {
    const uint64_t start = block * block_size_;
    const size_t size = std::min<uint64_t>(block_size_, device_->size() - start);
    TRY(device_->read(entry.data.get(), size, start));
  }
  ages_.push_front(block);
  entry.age = ages_.begin();
  return &blocks_.emplace(block, std::move(entry)).first->second;
}

void ExtCache::evict() {
  while (!ages_.empty() && ages_.size() * block_size_ >= bound_) {
    blocks_.erase(ages_.back());
    ages_.pop_back();
  }
}

Result<void> ExtCache::read(uint64_t position, size_t size, void* to) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const size_t in = position % block_size_;
    const size_t part = std::min<size_t>(size, block_size_ - in);
    TRY_ASSIGN(Entry * entry, get(position / block_size_, true));
    std::memcpy(at, entry->data.get() + in, part);
    at += part;
    position += part;
    size -= part;
  }
  return {};
}

Result<void> ExtCache::write(uint64_t position, size_t size, const void* from) {
  const auto* at = static_cast<const char*>(from);
  while (size > 0) {
    const size_t in = position % block_size_;
    const size_t part = std::min<size_t>(size, block_size_ - in);
    TRY_ASSIGN(Entry * entry, get(position / block_size_, part != block_size_));
    std::memcpy(entry->data.get() + in, at, part);
    if (!entry->dirty) {
      entry->dirty = true;
      ages_.erase(entry->age);
      ++dirty_count_;
    }
    at += part;
    position += part;
    size -= part;
  }
  return {};
}

void ExtCache::drop(std::unordered_map<uint64_t, Entry>::iterator it) {
  if (it->second.dirty) {
    --dirty_count_;
  } else {
    ages_.erase(it->second.age);
  }
  blocks_.erase(it);
}

void ExtCache::forget(uint64_t block) {
  const auto it = blocks_.find(block);
  if (it != blocks_.end()) drop(it);
}

Result<void> ExtCache::settle(uint64_t block) {
  const auto it = blocks_.find(block);
  if (it == blocks_.end()) return {};
  if (it->second.dirty) {
    TRY(device_->write(it->second.data.get(), block_size_, block * block_size_));
  }
  drop(it);
  return {};
}

std::vector<ExtCache::Dirty> ExtCache::dirty() const {
  std::vector<Dirty> all;
  all.reserve(dirty_count_);
  for (const auto& [block, entry] : blocks_) {
    if (entry.dirty) all.push_back({block, entry.data.get()});
  }
  std::sort(all.begin(), all.end(),
            [](const Dirty& a, const Dirty& b) { return a.block < b.block; });
  return all;
}

void ExtCache::clean(uint64_t block) {
  const auto it = blocks_.find(block);
  if (it == blocks_.end() || !it->second.dirty) return;
  it->second.dirty = false;
  ages_.push_front(block);
  it->second.age = ages_.begin();
  --dirty_count_;
}

void ExtCache::clean_all() {
  for (auto& [block, entry] : blocks_) {
    if (!entry.dirty) continue;
    entry.dirty = false;
    ages_.push_front(block);
    entry.age = ages_.begin();
  }
  dirty_count_ = 0;
  evict();
}

}  // namespace viewsh
