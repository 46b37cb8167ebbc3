#include "tracee/lookup_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

#include "tracee/lookup_patch.h"
#include "viewsh/unique_fd.h"

namespace viewsh {

namespace {

constexpr size_t kFileSize = kLookupTableSize + kAnswerTableSize;

void set_bit(uint8_t* bits, size_t bit) {
  bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | 1 << (bit % 8));
}

/// Others read while this is written: in this order.
void store(uint64_t* at, uint64_t value) {
  std::atomic_ref<uint64_t>(*at).store(value, std::memory_order_release);
}

}  // namespace

uint64_t hash_of(std::string_view path) {
  uint64_t hash = kNoPath;
  if (path.empty()) return hash;
  hash = extend(hash, '/');
  for (char byte : path) hash = extend(hash, byte);
  return hash;
}

SharedLookups::~SharedLookups() {
  if (table_ != nullptr) munmap(table_, kFileSize);
}

Result<void> SharedLookups::make(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400));
  if (!fd || ftruncate(fd.get(), kFileSize) < 0) return Errno::last();
  void* at = mmap(nullptr, kFileSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return Errno::last();
  table_ = static_cast<LookupTable*>(at);
  table_->round = 1;
  auto* behind = static_cast<uint8_t*>(at) + kLookupTableSize;
  answers_ = AnswerWriter(reinterpret_cast<AnswerTable*>(behind), &table_->round);
  path_ = path;
  return {};
}

void SharedLookups::mark_name(std::string_view path) {
  if (table_ == nullptr) return;
  const auto mark = [](uint8_t* bits, uint64_t hash) {
    set_bit(bits, LookupTable::first_bit(hash));
    set_bit(bits, LookupTable::second_bit(hash));
  };
  mark(table_->names, hash_of(path));
  const size_t slash = path.rfind('/');
  mark(table_->lists, hash_of(path.substr(0, slash == std::string_view::npos ? 0 : slash)));
}

void SharedLookups::mark_inode(uint64_t ino) {
  if (table_ != nullptr) set_bit(table_->inodes, LookupTable::inode_bit(ino));
}

void SharedLookups::forget_directories() {
  if (table_ != nullptr) store(&table_->round, table_->round + 1);
}

void SharedLookups::add(uint64_t key, uint64_t path) {
  if (table_ == nullptr || has(key)) return;
  LookupTable::Entry* chosen = &table_->entries[LookupTable::slot(key, 0)];
  for (size_t i = 0; i < LookupTable::kProbes; ++i) {
    LookupTable::Entry* entry = &table_->entries[LookupTable::slot(key, i)];
    if (entry->round == table_->round) continue;
    chosen = entry;
    break;
  }
  store(&chosen->round, 0);
  store(&chosen->key, key);
  store(&chosen->path, path);
  store(&chosen->round, table_->round);
}

bool SharedLookups::has(uint64_t key) const {
  for (size_t i = 0; table_ != nullptr && i < LookupTable::kProbes; ++i) {
    const LookupTable::Entry& entry = table_->entries[LookupTable::slot(key, i)];
    if (entry.key == key && entry.round == table_->round) return true;
  }
  return false;
}

}  // namespace viewsh
