#include "vfs/listing.h"

#include <algorithm>
#include <deque>

#include "base/path.h"
#include "vfs/view_fs.h"

namespace viewsh {

namespace {

/// Positions stay below 2^33, which every host file system accepts in lseek(2) on a directory, and
/// begin at 2^32, where those of host file systems are below (numbers in order) or far above
/// (hashes).
constexpr uint64_t kFirst = uint64_t{1} << 32;

uint64_t position_of(std::string_view name) {
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  hash ^= hash >> 29;
  return kFirst + 16 + hash % (kFirst - 32);
}

struct Kept {
  std::weak_ptr<const Mount> mount;  // which ends when it is taken away
  std::string path;
  std::string view_path;
  std::shared_ptr<Listing> listing;
};

std::deque<Kept>& kept() {
  static std::deque<Kept> listings;
  return listings;
}

uint64_t inode_of(const View& view, const std::string& view_path) {
  Location here = view.locate(view_path);
  Result<Attr> attr = here.mount->fs->getattr(here.path);
  return attr.ok() ? attr->stx_ino : 1;
}

}  // namespace

Listing::Listing(std::vector<DirEntry> entries, uint64_t dot, uint64_t dotdot) {
  struct Placed {
    uint64_t position;
    DirEntry* entry;
  };
  std::vector<Placed> placed;
  placed.reserve(entries.size());
  for (DirEntry& entry : entries) placed.push_back({position_of(entry.name), &entry});
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.position != b.position ? a.position < b.position : a.entry->name < b.entry->name;
  });
  entries_.push_back({".", dot, NodeType::kDirectory, kFirst + 1});
  entries_.push_back({"..", dotdot, NodeType::kDirectory, kFirst + 2});
  uint64_t last = kFirst + 2;
  for (const Placed& item : placed) {
    last = std::max(item.position, last + 1);
    entries_.push_back({std::move(item.entry->name), item.entry->ino, item.entry->type, last});
  }
}

Listing::Iterator Listing::from(uint64_t position) const {
  // An entry's `next` is its own position: whoever stands there has had it.
  return std::upper_bound(
      entries_.begin(), entries_.end(), position,
      [](uint64_t value, const ListedEntry& entry) { return value < entry.next; });
}

bool Listing::is_position(uint64_t position) {
  return position == 0 || (position >= kFirst && position < 2 * kFirst);
}

Listing::Iterator Listing::find(std::string_view name) const {
  auto named = [&](const ListedEntry& entry) { return entry.name == name; };
  if (name == "." || name == "..") return std::find_if(entries_.begin(), entries_.end(), named);
  // Names of one hash lie one behind the other, pushed on from where they belong.
  auto it = from(position_of(name) - 1);
  return it != end() && it->name == name ? it
                                         : std::find_if(entries_.begin(), entries_.end(), named);
}

Result<const Listing*> listing_of(const View& view, const Walked& walked, bool fresh) {
  auto it = std::find_if(kept().begin(), kept().end(), [&](const Kept& item) {
    return item.mount.lock() == walked.mount && item.path == walked.path &&
           item.view_path == walked.view_path;
  });
  if (it != kept().end()) {
    if (!fresh) return it->listing.get();
    kept().erase(it);
  }
  TRY_ASSIGN(std::vector<DirEntry> entries, walked.fs_mutable().list(walked.path));
  correct_listing(view, walked.view_path, &entries);
  auto listing = std::make_shared<Listing>(std::move(entries), inode_of(view, walked.view_path),
                                           inode_of(view, parent_path(walked.view_path)));
  constexpr size_t kKeep = 16;
  if (kept().size() >= kKeep) kept().pop_front();
  kept().push_back({walked.mount, walked.path, walked.view_path, listing});
  return listing.get();
}

}  // namespace viewsh
