#include <algorithm>

#include "ext_dir.h"

namespace viewsh {

uint32_t ExtNameTable::hash(std::string_view name) {
  const uint64_t full = std::hash<std::string_view>()(name);
  const auto half = static_cast<uint32_t>(full ^ full >> 32);
  return half == 0 ? 1 : half;
}

void ExtNameTable::grow() {
  std::vector<Slot> old = std::move(slots_);
  size_t live = 0;
  for (const Slot& slot : old) live += slot.hash != 0 && slot.block != kGone;
  size_t size = 16;
  while (size < live * 2 + 8) size *= 2;
  slots_.assign(size, Slot());
  used_ = 0;
  for (const Slot& slot : old) {
    if (slot.hash != 0 && slot.block != kGone) add(slot.hash, slot.block);
  }
}

void ExtNameTable::add(uint32_t hash, uint32_t block) {
  if (used_ * 4 >= slots_.size() * 3) grow();
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].hash != 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {hash, block};
  ++used_;
}

void ExtNameTable::remove(uint32_t hash, uint32_t block) {
  if (slots_.empty()) return;
  for (size_t at = hash & (slots_.size() - 1); slots_[at].hash != 0;
       at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].hash != hash || slots_[at].block != block) continue;
    slots_[at].block = kGone;
    return;
  }
}

std::vector<uint32_t> ExtNameTable::find(uint32_t hash) const {
  std::vector<uint32_t> blocks;
  if (slots_.empty()) return blocks;
  for (size_t at = hash & (slots_.size() - 1); slots_[at].hash != 0;
       at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.hash != hash || slot.block == kGone) continue;
    if (std::find(blocks.begin(), blocks.end(), slot.block) == blocks.end()) {
      blocks.push_back(slot.block);
    }
  }
  return blocks;
}

}  // namespace viewsh
