#include "fuse_nodes.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace viewsh {
namespace {

/// After so many were taken in, names are asked for again.
constexpr size_t kMaxNames = 100'000;
constexpr int64_t kSecond = 1'000'000'000;

int64_t now_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

/// The end of a time that a server gives. 0: it is over already.
int64_t end_of(uint64_t seconds, uint32_t nanoseconds) {
  constexpr uint64_t kForever = 1ULL << 30;
  if (seconds == 0 && nanoseconds == 0) return 0;
  const auto whole = static_cast<int64_t>(std::min(seconds, kForever));
  return now_ns() + whole * kSecond + std::min<int64_t>(nanoseconds, kSecond - 1);
}

bool valid_type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
      return true;
    default:
      return false;
  }
}

}  // namespace

FuseNodes::FuseNodes(FuseSession& session, mode_t rootmode) : session_(session) {
  auto root = std::make_shared<FuseNode>();
  root->id = FUSE_ROOT_ID;
  root->type = rootmode & S_IFMT;
  nodes_[FUSE_ROOT_ID] = std::move(root);
}

bool FuseNodes::valid(const fuse_attr& attr) {
  return valid_type(attr.mode) && attr.size <= static_cast<uint64_t>(INT64_MAX);
}

Result<FuseNodes::Ref> FuseNodes::find_any(uint64_t id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return Errno(ESTALE);
  return found->second;
}

Result<FuseNodes::Ref> FuseNodes::find(uint64_t id) {
  TRY_ASSIGN(Ref node, find_any(id));
  if (node->bad) return Errno(EIO);
  node->used = ++uses_;
  return node;
}

Result<FuseNodes::Ref> FuseNodes::directory(uint64_t id) {
  TRY_ASSIGN(Ref node, find(id));
  if (!S_ISDIR(node->type)) return Errno(ENOTDIR);
  return node;
}

/// The node of a reply, with one look-up more.
Result<FuseNodes::Ref> FuseNodes::judge(const fuse_entry_out& out, mode_t type, uint64_t asked) {
  if (out.nodeid == 0 || out.nodeid == FUSE_ROOT_ID) return Errno(EIO);
  if (!valid(out.attr) || (type != 0 && (out.attr.mode & S_IFMT) != type)) {
    // It counts the look-up nevertheless.
    session_.forget({{.nodeid = out.nodeid, .nlookup = 1}});
    return Errno(EIO);
  }
  Ref& node = nodes_[out.nodeid];
  const mode_t is = out.attr.mode & S_IFMT;
  uint64_t lookups = 1;
  unsigned children = 0;
  if (node != nullptr) {
    lookups += node->lookups;
    // The number has been given to another node: what was known goes, but for the count.
    if (node->bad || node->generation != out.generation || node->type != is) {
      node->bad = true;
      children = node->children;
      set_parent(node.get(), 0);
      node = nullptr;
    }
  }
  if (node == nullptr) {
    node = std::make_shared<FuseNode>();
    node->id = out.nodeid;
    node->generation = out.generation;
    node->type = is;
    node->children = children;
  }
  node->lookups = lookups;
  node->used = ++uses_;
  if (node->version > asked) return node;
  node->attr = out.attr;
  node->attr_end = end_of(out.attr_valid, out.attr_valid_nsec);
  return node;
}

Result<FuseNodes::Ref> FuseNodes::enter(uint64_t parent, std::string_view name,
                                        const fuse_entry_out& out, mode_t type, uint64_t asked) {
  TRY_ASSIGN(Ref node, judge(out, type, asked));
  if (!is_news(parent, asked)) {
    if (S_ISDIR(node->type) && node->parent == 0) set_parent(node.get(), parent);
    return node;
  }
  if (S_ISDIR(node->type)) {
    // d_splice_alias() of the kernel.
    if (is_below(parent, node->id)) return Errno(ELOOP);
    set_parent(node.get(), parent);
  }
  remember(parent, name, node->id, end_of(out.entry_valid, out.entry_valid_nsec));
  return node;
}

bool FuseNodes::is_below(uint64_t id, uint64_t ancestor) const {
  // enter() makes no rings, but two renames at the same time could.
  for (size_t steps = 0; steps <= nodes_.size(); ++steps) {
    if (id == ancestor) return true;
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || id == FUSE_ROOT_ID) return false;
    id = found->second->parent;
  }
  return true;
}

void FuseNodes::set_parent(FuseNode* directory, uint64_t parent) {
  if (const auto old = nodes_.find(directory->parent); old != nodes_.end()) --old->second->children;
  directory->parent = parent;
  if (const auto now = nodes_.find(parent); now != nodes_.end()) ++now->second->children;
}

void FuseNodes::enter_listed(uint64_t parent, std::string_view name, const fuse_entry_out& out,
                             uint64_t asked) {
  // What is wrong with it shows when it is looked up.
  (void)enter(parent, name, out, 0, asked);
}

/// Names in the directory are as they were then.
bool FuseNodes::is_news(uint64_t directory, uint64_t asked) const {
  const auto found = nodes_.find(directory);
  return found != nodes_.end() && found->second->version <= asked;
}

void FuseNodes::absent(uint64_t parent, std::string_view name, const fuse_entry_out& out,
                       uint64_t asked) {
  if (!is_news(parent, asked)) return;
  remember(parent, name, 0, end_of(out.entry_valid, out.entry_valid_nsec));
}

void FuseNodes::remember(uint64_t parent, std::string_view name, uint64_t node, int64_t end) {
  if (end == 0) return drop_name(parent, name);
  if (++name_count_ > kMaxNames) {
    names_.clear();
    name_count_ = 1;
  }
  names_[parent].insert_or_assign(std::string(name), Name{node, end});
}

std::optional<uint64_t> FuseNodes::known(uint64_t parent, std::string_view name) {
  const auto directory = names_.find(parent);
  if (directory == names_.end()) return std::nullopt;
  const auto found = directory->second.find(std::string(name));
  if (found == directory->second.end()) return std::nullopt;
  const auto node = nodes_.find(found->second.node);
  const bool gone = found->second.node != 0 && (node == nodes_.end() || node->second->bad);
  if (gone || found->second.end <= now_ns()) {
    directory->second.erase(found);
    return std::nullopt;
  }
  return found->second.node;
}

void FuseNodes::drop_name(uint64_t parent, std::string_view name) {
  const auto directory = names_.find(parent);
  if (directory == names_.end()) return;
  directory->second.erase(std::string(name));
  if (directory->second.empty()) names_.erase(directory);
}

Result<void> FuseNodes::take_attr(const Ref& node, const fuse_attr& attr, uint64_t seconds,
                                  uint32_t nanoseconds, uint64_t version) {
  if (!valid(attr) || (attr.mode & S_IFMT) != node->type) {
    node->bad = node->id != FUSE_ROOT_ID;
    return Errno(EIO);
  }
  const bool news = node->version == version;
  // Another reply, which came before, is younger.
  if (!news && fresh(*node)) return {};
  node->attr = attr;
  node->attr_end = news ? end_of(seconds, nanoseconds) : 0;
  if (news) node->version = ++changes_;
  return {};
}

bool FuseNodes::fresh(const FuseNode& node) { return node.attr_end > now_ns(); }

void FuseNodes::stale(FuseNode* node) {
  node->attr_end = 0;
  node->version = ++changes_;
}

void FuseNodes::stale(uint64_t id) {
  const auto found = nodes_.find(id);
  if (found != nodes_.end()) stale(found->second.get());
}

/// The node is gone from here, and its handle is released before the server hears that.
FuseNodes::Ref FuseNodes::take_out(uint64_t id) {
  const auto found = nodes_.find(id);
  Ref node = std::move(found->second);
  nodes_.erase(found);
  if (S_ISDIR(node->type)) set_parent(node.get(), 0);
  node->handle.reset();
  node->opened = {};
  names_.erase(id);
  return node;
}

void FuseNodes::forget(uint64_t id) {
  const auto found = nodes_.find(id);
  if (id == FUSE_ROOT_ID || found == nodes_.end() || found->second->children != 0) return;
  const Ref node = take_out(id);
  session_.forget({{.nodeid = id, .nlookup = node->lookups}});
}

void FuseNodes::forget_but(size_t keep) {
  std::vector<std::pair<uint64_t, uint64_t>> idle;
  for (const auto& [id, node] : nodes_) {
    const bool open = std::any_of(node->opened.begin(), node->opened.end(),
                                  [](const auto& handle) { return handle != nullptr; });
    // Of what is asked for just now whoever waits has a reference.
    const bool asked = node.use_count() > 1;
    if (id != FUSE_ROOT_ID && node->holds == 0 && node->children == 0 && !open && !asked) {
      idle.emplace_back(node->used, id);
    }
  }
  if (idle.size() <= keep) return;
  std::sort(idle.begin(), idle.end());
  idle.resize(idle.size() - keep);
  std::vector<fuse_forget_one> forgets;
  for (const auto& [used, id] : idle) {
    if (used_ && used_(id)) continue;
    forgets.push_back({.nodeid = id, .nlookup = take_out(id)->lookups});
  }
  session_.forget(forgets);
}

void FuseNodes::make_room() {
  if (nodes_.size() < most_) return;
  forget_but(kMostNodes / 2);
  // Those that can't go aren't looked at each time.
  most_ = std::max(kMostNodes, nodes_.size() + kMostNodes / 2);
}

void FuseNodes::forget_all() {
  std::vector<fuse_forget_one> forgets;
  for (auto& [id, node] : nodes_) {
    if (id == FUSE_ROOT_ID) continue;
    node->handle.reset();
    node->opened = {};
    forgets.push_back({.nodeid = id, .nlookup = node->lookups});
  }
  std::erase_if(nodes_, [](const auto& entry) { return entry.first != FUSE_ROOT_ID; });
  names_.clear();
  // fuse_evict_inode() of fs/fuse/inode.c: nothing is forgotten when all of it goes.
  if (session_.options().destroys) session_.forget(forgets);
}

}  // namespace viewsh
