#include "merge_tree.h"

#include <algorithm>
#include <unordered_set>

#include "host_ops.h"

namespace viewsh {
namespace {

size_t component_end(std::string_view path, size_t from) {
  return std::min(path.find('/', from), path.size());
}

/// The state of one look-up over all sources.
struct Search {
  size_t solid = 0;             ///< bytes of the path known to be directories of a source so far
  std::vector<size_t> unknown;  ///< sources that lack something on the way, not yet known where
  bool hit = false;
  bool parent_found = false;
  Found missing;
};

}  // namespace

/// The length of the longest prefix of `path` that is a directory of this source.
size_t MergeTree::solid_prefix(size_t index, std::string_view path) {
  size_t solid = 0;
  ResolveFlags flags{.follow_last = false, .want_exists = true};
  for (size_t end = component_end(path, 0);; end = component_end(path, end + 1)) {
    std::string_view prefix = path.substr(0, end);
    Result<Found> found = source(index).resolve("", prefix, flags, host_ops::own_caller());
    if (!found || found->kind != Found::Kind::kNode || found->type != NodeType::kDirectory)
      return solid;
    solid = end;
    if (end == path.size()) return solid;
  }
}

Result<MergeHit> MergeTree::look(const std::string& base, std::string_view rest, ResolveFlags flags,
                                 const Caller& caller) {
  const std::string full = host_ops::join(base, rest);
  const size_t skipped = full.size() - rest.size();
  flags.want_exists = true;
  MergeHit hit;
  Search search;
  search.solid = base.size();
  // Is what source i has at the component ending at `end` covered by a directory of an earlier one?
  auto covered = [&](size_t end) {
    for (size_t other : search.unknown)
      search.solid = std::max(search.solid, solid_prefix(other, full));
    search.unknown.clear();
    return end <= search.solid;
  };
  for (size_t i = 0; i < size(); ++i) {
    Result<Found> found = source(i).resolve("", full, flags, caller);
    if (!found) {
      if (found.error() == ENOENT) {
        search.unknown.push_back(i);
      } else if (!search.hit) {
        size_t good = solid_prefix(i, full);
        if (!covered(component_end(full, good == 0 ? 0 : good + 1))) return found.error();
      }
    } else if (found->kind == Found::Kind::kMissing) {
      search.solid = std::max(search.solid, host_ops::parent_of(full).size());
      if (!search.parent_found) search.missing = *found;
      search.parent_found = true;
    } else if (found->kind == Found::Kind::kLink) {
      if (search.hit || covered(found->consumed)) continue;
      hit.source = i;
      hit.found = std::move(*found);
      hit.found.consumed -= skipped;
      return hit;
    } else if (!search.hit) {
      search.hit = true;
      hit.source = i;
      hit.found = std::move(*found);
      if (hit.found.type != NodeType::kDirectory) break;
      hit.dirs.push_back(i);
    } else if (found->type == NodeType::kDirectory) {
      hit.dirs.push_back(i);
    }
  }
  if (!search.hit && !search.parent_found) return Errno(ENOENT);
  if (!search.hit) hit.found = std::move(search.missing);
  hit.found.consumed = rest.size();
  return hit;
}

Result<MergeHit> MergeTree::look(const std::string& path) {
  ResolveFlags flags{.follow_last = false, .want_exists = true};
  TRY_ASSIGN(MergeHit hit, look("", path, flags, host_ops::own_caller()));
  if (hit.found.kind == Found::Kind::kLink) return Errno(ENOTDIR);
  return hit;
}

Result<MergeHit> MergeTree::node(const std::string& path) {
  TRY_ASSIGN(MergeHit hit, look(path));
  if (!hit.is_node()) return Errno(ENOENT);
  return hit;
}

Result<Attr> MergeTree::getattr(const std::string& path, const MergeHit& hit) {
  TRY_ASSIGN(Attr attr, source(hit.source).getattr(path));
  if (hit.merged()) {
    // Its subdirectories can't be counted cheaply; 1 says so to fts(3) and find(1). overlayfs.
    merged_dirs_.insert(key(attr));
    attr.stx_nlink = 1;
  }
  show_identity(&attr);
  return attr;
}

Result<std::vector<DirEntry>> MergeTree::list(const std::string& path, const MergeHit& hit) {
  if (hit.found.type != NodeType::kDirectory) return Errno(ENOTDIR);
  std::vector<DirEntry> out;
  std::unordered_set<std::string> seen;
  for (size_t index : hit.dirs) {
    TRY_ASSIGN(std::vector<DirEntry> entries, source(index).list(path));
    Attr probe{};
    if (index == 0 && !identity_.empty()) {
      TRY_ASSIGN(probe, source(0).getattr(path));
    }
    for (DirEntry& entry : entries) {
      if (!seen.insert(entry.name).second) continue;
      if (index == 0 && !identity_.empty()) {
        probe.stx_ino = entry.ino;
        auto known = identity_.find(key(probe));
        if (known != identity_.end()) entry.ino = std::get<2>(known->second);
      }
      out.push_back(std::move(entry));
    }
  }
  return out;
}

std::optional<std::string> MergeTree::reverse(const std::string& host) {
  for (size_t i = 0; i < size(); ++i) {
    std::optional<std::string> path = source(i).reverse(host);
    if (!path) continue;
    Result<MergeHit> hit = node(*path);
    // What was removed, and is open still, keeps the name that it had.
    if (!hit && (hit.error() == ENOENT || hit.error() == ENOTDIR)) return path;
    if (!hit) continue;
    bool shown =
        hit->source == i || std::find(hit->dirs.begin(), hit->dirs.end(), i) != hit->dirs.end();
    if (shown) return path;
  }
  return std::nullopt;
}

bool MergeTree::show_identity(Attr* attr) const {
  auto known = identity_.find(key(*attr));
  if (known == identity_.end()) return false;
  std::tie(attr->stx_dev_major, attr->stx_dev_minor, attr->stx_ino) = known->second;
  return true;
}

bool MergeTree::waits(std::string_view path, bool below) const {
  return std::any_of(sources_.begin(), sources_.end(),
                     [&](const auto& source) { return source->waits(path, below); });
}

bool MergeTree::waits_for(const Attr& object) const {
  return std::any_of(sources_.begin(), sources_.end(),
                     [&](const auto& source) { return source->waits_for(object); });
}

bool MergeTree::fix_attr(Attr* attr) {
  bool changed = false;
  for (const auto& one : sources_) {
    if (one->fix_attr(attr)) {
      changed = true;
      break;
    }
  }
  if (merged_dirs_.count(key(*attr)) > 0 && S_ISDIR(attr->stx_mode)) {
    attr->stx_nlink = 1;
    changed = true;
  }
  return show_identity(attr) || changed;
}

bool MergeTree::later_source_has(const std::string& path) {
  for (size_t i = 1; i < size(); ++i) {
    if (source(i).getattr(path)) return true;
  }
  return false;
}

void MergeTree::keep_identity(const Attr& now, const Attr& before) {
  if (key(now) != key(before)) identity_[key(now)] = key(before);
}

void MergeTree::forget_identity(const Attr& attr) { identity_.erase(key(attr)); }

}  // namespace viewsh
