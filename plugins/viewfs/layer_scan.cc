// A layer's upper/ and links/ written down, with their content in objects/. First everything is
// looked at; then each inode gets its object, in several threads where there are many.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cow_host.h"
#include "cow_index.h"
#include "deep_path.h"
#include "layer_tree.h"
#include "survey.h"
#include "workers.h"

namespace viewsh::viewfs {
namespace {

/// Fills in the entries of a tree.
class Scanner {
 public:
  Scanner(const Survey& survey, SnapshotTree* tree) : survey_(survey), tree_(tree) {}

  /// Everything below the directory `path` of `root`, which may be of any depth. `node`: what the
  /// layer's index has of it, or null.
  Result<void> directory(int root, const std::string& path, bool anchors, const Node* node) {
    std::vector<std::string> subdirs;
    {
      const UniqueFd fd = open_deep(root, path);
      if (!fd) return Errno::last();
      TRY_ASSIGN(const auto entries, list_sorted(fd.get()));
      for (const DeepEntry& entry : entries) {
        std::string child = join(path, entry.name);
        const Node* known = node != nullptr ? node->child(entry.name) : nullptr;
        const auto seen = known != nullptr ? survey_.upper(known) : std::nullopt;
        Attr attr{};
        if (seen) {
          attr = *seen;
        } else {
          TRY_ASSIGN(attr, lstat_at(fd.get(), entry.name));
        }
        if (anchors && S_ISDIR(attr.stx_mode)) continue;  // nothing of a layer's
        if (S_ISDIR(attr.stx_mode)) subdirs.push_back(child);
        TRY(add(fd.get(), entry.name, std::move(child), attr, anchors, known));
      }
    }
    for (const std::string& child : subdirs) {
      const Node* below = node != nullptr ? node->child(name_of(child)) : nullptr;
      TRY(directory(root, child, anchors, below));
    }
    return {};
  }

  Result<void> add(int dir_fd, const std::string& name, std::string path, const Attr& attr,
                   bool anchor, const Node* node) {
    TreeEntry e;
    e.type = type_of_mode(attr.stx_mode);
    e.anchor = anchor;
    e.path = std::move(path);
    e.mode = attr.stx_mode & 07777u;
    e.uid = attr.stx_uid;
    e.gid = attr.stx_gid;
    e.size = attr.stx_size;
    e.atime = file_time(attr.stx_atime);
    e.mtime = file_time(attr.stx_mtime);
    const bool plain = e.type == NodeType::kSymlink || survey_.plain_upper(node);
    if (!plain) {
      TRY_ASSIGN(e.xattrs, read_own_xattrs_at(dir_fd, name));
    }
    tree_->bytes += attr.stx_blocks * 512;
    if (e.type != NodeType::kDirectory) {
      const auto next = static_cast<uint32_t>(first_.size() + 1);
      const auto [it, fresh] = objects_.emplace(attr.stx_ino, next);
      e.object = it->second;
      if (fresh) first_.push_back(tree_->entries.size());
    }
    if (!anchor) tree_->upper.emplace(e.path, tree_->entries.size());
    tree_->entries.push_back(std::move(e));
    return {};
  }

  /// The entry that object N + 1 was first met at.
  const std::vector<size_t>& first() const { return first_; }

 private:
  const Survey& survey_;
  SnapshotTree* tree_;
  std::unordered_map<uint64_t, uint32_t> objects_;
  std::vector<size_t> first_;
};

/// Gives each object of a tree its name.
class Sharer {
 public:
  Sharer(const SnapshotTree& tree, int upper_fd, int links_fd, int objects_fd)
      : tree_(tree), upper_(upper_fd), links_(links_fd), objects_(objects_fd) {}

  Result<void> run(const std::vector<size_t>& first) {
    for (uint32_t i = 0; tree_.shelved && i < SnapshotTree::kShelves; ++i) {
      const std::string shelf = SnapshotTree::shelf(i);
      TRY(from_libc(mkdirat(objects_, shelf.c_str(), 0700)));
      shelves_.push_back(open_deep(objects_, shelf));
      if (!shelves_.back()) return Errno::last();
    }
    // What a worker fails at is the last that it does.
    std::pair<size_t, Errno> failed[kMaxWorkers];
    const size_t end = spread(first.size(), Load::kCalls, [&](size_t worker, size_t i) {
      const auto done = share(&sources_[worker], tree_.entries[first[i]]);
      if (!done) failed[worker] = {i, done.error()};
      return done.ok();
    });
    for (const auto& [i, error] : failed) {
      if (end < first.size() && i == end && !(error == 0)) return error;
    }
    for (const UniqueFd& shelf : shelves_) TRY(from_libc(fsync(shelf.get())));
    return from_libc(fsync(objects_));
  }

 private:
  /// The directory that a worker is in.
  struct Source {
    bool anchor = false;
    std::string path;
    UniqueFd fd;
  };

  /// A link where the file system and the limits of link(2) let us, else a copy.
  Result<void> share(Source* source, const TreeEntry& e) {
    const std::string_view dir = parent_of(e.path);
    if (!source->fd || source->anchor != e.anchor || source->path != dir) {
      source->fd = open_deep(e.anchor ? links_ : upper_, dir);
      if (!source->fd) return Errno::last();
      source->anchor = e.anchor;
      source->path = dir;
    }
    const std::string name(name_of(e.path));
    const std::string to = std::to_string(e.object);
    const int shelf = tree_.shelved ? shelves_[e.object % SnapshotTree::kShelves].get() : objects_;
    if (linkat(source->fd.get(), name.c_str(), shelf, to.c_str(), 0) == 0) return {};
    if (errno == ENOSPC || errno == EDQUOT || errno == EROFS || errno == EIO) return Errno::last();
    return copy_object(source->fd.get(), name, shelf, to);
  }

  const SnapshotTree& tree_;
  int upper_, links_, objects_;
  std::vector<UniqueFd> shelves_;
  Source sources_[kMaxWorkers];
};

}  // namespace

Result<void> scan_tree(int upper_fd, int links_fd, int objects_fd, const Index& index,
                       const Survey& survey, SnapshotTree* tree) {
  Scanner scanner(survey, tree);
  TRY_ASSIGN(const Attr root, lstat_at(upper_fd, ""));
  TRY(scanner.add(upper_fd, ".", "", root, false, nullptr));
  TRY(scanner.directory(upper_fd, "", false, index.root()));
  TRY(scanner.directory(links_fd, "", true, nullptr));
  if (objects_fd < 0) return {};
  tree->shelved = scanner.first().size() > SnapshotTree::kManyObjects;
  return Sharer(*tree, upper_fd, links_fd, objects_fd).run(scanner.first());
}

}  // namespace viewsh::viewfs
