#include "tracee/answer_table.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace viewsh {

namespace {

using Entry = AnswerTable::Entry;

uint64_t hash_of_text(std::string_view text) {
  return viewsh::hash_of_text(text.data(), text.size());
}

/// Who reads an entry meanwhile finds another version afterwards.
template <typename Work>
void change(Entry* entry, Work&& work) {
  const std::atomic_ref<uint64_t> version(entry->version);
  const uint64_t before = version.load(std::memory_order_relaxed);
  version.store(before + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  work();
  version.store(before + 2, std::memory_order_release);
}

/// Nothing is lost by keeping the first part.
bool fits(const Attr& attr) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&attr);
  return std::all_of(bytes + AnswerTable::kAttrSize, bytes + sizeof attr,
                     [](uint8_t byte) { return byte == 0; });
}

}  // namespace

Entry* AnswerWriter::find(uint64_t dev, uint64_t ino, std::string_view text) const {
  const uint64_t hash = hash_of_text(text);
  for (size_t i = 0; table_ != nullptr && i < AnswerTable::kProbes; ++i) {
    Entry* entry = &table_->entries[AnswerTable::slot(dev, ino, hash, i)];
    const bool same = entry->round == *round_ && entry->dev == dev && entry->ino == ino &&
                      entry->size == text.size() &&
                      memcmp(entry->text, text.data(), text.size()) == 0;
    if (same) return entry;
  }
  return nullptr;
}

bool AnswerWriter::has(uint64_t dev, uint64_t ino, std::string_view text) const {
  return find(dev, ino, text) != nullptr;
}

void AnswerWriter::add(uint64_t dev, uint64_t ino, std::string_view text, const Attr* attr,
                       int error) {
  if (table_ == nullptr || !fits(text) || (attr != nullptr && !viewsh::fits(*attr))) return;
  Entry* chosen = find(dev, ino, text);
  const uint64_t hash = hash_of_text(text);
  for (size_t i = 0; chosen == nullptr && i < AnswerTable::kProbes; ++i) {
    Entry* entry = &table_->entries[AnswerTable::slot(dev, ino, hash, i)];
    if (entry->round != *round_) chosen = entry;
  }
  // All are taken: one of them goes, each time another one.
  if (chosen == nullptr) {
    const size_t probe = mixed(hash + ino) >> 32;
    chosen = &table_->entries[AnswerTable::slot(dev, ino, hash, probe % AnswerTable::kProbes)];
  }
  change(chosen, [&] {
    chosen->round = *round_;
    chosen->dev = dev;
    chosen->ino = ino;
    chosen->result = attr != nullptr ? 0 : -error;
    chosen->size = static_cast<uint32_t>(text.size());
    memset(chosen->text, 0, sizeof chosen->text);
    memcpy(chosen->text, text.data(), text.size());
    if (attr != nullptr) memcpy(chosen->attr, attr, sizeof chosen->attr);
  });
}

void AnswerWriter::forget(uint64_t dev, uint64_t ino) {
  Entry* entry = find(dev, ino, "");
  if (entry != nullptr) change(entry, [entry] { entry->round = 0; });
}

}  // namespace viewsh
