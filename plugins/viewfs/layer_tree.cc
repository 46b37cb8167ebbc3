// What is in objects/ of a snapshot: copies of it, and upper/ and links/ made again from it.
#include "layer_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cow_host.h"
#include "cow_index.h"
#include "deep_path.h"

namespace viewsh::viewfs {
namespace {

/// Makes what its owner can't read readable while a copy of it is made. A kill in between leaves
/// the owner's read permission set, nothing else.
class Readable {
 public:
  Readable(int dir_fd, const std::string& name, uint32_t mode)
      : dir_fd_(dir_fd), name_(name), mode_(mode & 07777) {
    if ((mode & S_IFMT) != S_IFREG || faccessat(dir_fd, name.c_str(), R_OK, AT_EACCESS) == 0)
      return;
    changed_ = fchmodat(dir_fd, name.c_str(), mode_ | S_IRUSR, 0) == 0;
  }
  ~Readable() {
    if (changed_) fchmodat(dir_fd_, name_.c_str(), mode_, 0);
  }
  Readable(const Readable&) = delete;
  Readable& operator=(const Readable&) = delete;

 private:
  int dir_fd_;
  std::string name_;
  mode_t mode_;
  bool changed_ = false;
};

Result<void> copy_as(int from_fd, const std::string& from, const Attr& attr, int to_fd,
                     const std::string& to) {
  const PathAt source(from_fd, from);
  if (S_ISREG(attr.stx_mode) || S_ISLNK(attr.stx_mode)) {
    TRY_ASSIGN(const Attr now, lstat_at(source.dir(), source.name()));
    const Readable readable(source.dir(), source.name(), now.stx_mode);
    const LongPath path(from_fd, from);
    TRY_ASSIGN(const Xattrs xattrs, read_xattrs(path));
    TRY(copy_node(path.text(), attr, to_fd, to, true, true, xattrs));
    return {};
  }
  struct stat st {};
  TRY(from_libc(fstatat(source.dir(), source.name(), &st, AT_SYMLINK_NOFOLLOW)));
  const PathAt target(to_fd, to);
  TRY(from_libc(mknodat(target.dir(), target.name(), attr.stx_mode, st.st_rdev)));
  (void)copy_attr(to_fd, to, attr, 0);
  return {};
}

class Builder {
 public:
  Builder(const SnapshotTree& tree, int objects_fd, int upper_fd, int links_fd,
          std::vector<std::string>* notes)
      : tree_(tree), objects_(objects_fd), upper_(upper_fd), links_(links_fd), notes_(notes) {}

  Result<void> run() {
    for (const TreeEntry& e : tree_.entries) {
      const int at = e.anchor ? links_ : upper_;
      if (e.type != NodeType::kDirectory) {
        TRY(object(e, at));
      } else if (!e.path.empty()) {
        const PathAt made(at, e.path);
        TRY(from_libc(mkdirat(made.dir(), made.name(), 0700)));
      }
    }
    // Deepest first: what is made in a directory changes its times.
    for (auto it = tree_.entries.rbegin(); it != tree_.entries.rend(); ++it) {
      if (it->type == NodeType::kDirectory) finish(*it, upper_, it->path.empty() ? "." : it->path);
    }
    return {};
  }

 private:
  Result<void> object(const TreeEntry& e, int at) {
    const PathAt to(at, e.path);
    const auto made = made_.find(e.object);
    if (made != made_.end()) {
      const PathAt other(made->second.first, made->second.second);
      return from_libc(linkat(other.dir(), other.name(), to.dir(), to.name(), 0));
    }
    const std::string from = tree_.object(e.object);
    TRY_ASSIGN(const Attr now, lstat_at(objects_, from));
    if (type_of_mode(now.stx_mode) != e.type || (S_ISREG(now.stx_mode) && now.stx_size != e.size)) {
      return Errno(EUCLEAN);
    }
    made_.emplace(e.object, std::make_pair(at, e.path));
    if (same(e, now, from) && linkat(objects_, from.c_str(), to.dir(), to.name(), 0) == 0) {
      return {};
    }
    // Its attributes were changed since, in place: those of the view's inode may not change before
    // the restore is done, so this is a new one.
    TRY(copy_as(objects_, from, attr_of(e), at, e.path));
    finish(e, at, e.path);
    return {};
  }

  bool same(const TreeEntry& e, const Attr& now, const std::string& object) const {
    return (now.stx_mode & 07777u) == e.mode && now.stx_uid == e.uid && now.stx_gid == e.gid &&
           file_time(now.stx_mtime) == e.mtime &&
           (e.type == NodeType::kSymlink ||
            same_xattrs(read_own_xattrs_at(objects_, object), e.xattrs));
  }

  void finish(const TreeEntry& e, int at, const std::string& path) {
    const LongPath host(at, path);
    bool all = true;
    if (e.type != NodeType::kSymlink) {
      // The mode that it is to have may keep its owner from reading and setting them.
      const PathAt own(at, path);
      (void)fchmodat(own.dir(), own.name(), e.mode | S_IRUSR | S_IWUSR, 0);
      const auto now = read_xattrs(host);
      all = now.ok();
      for (const auto& [name, value] : now ? *now : Xattrs()) {
        if (e.xattrs.count(name) == 0) all = lremovexattr(host.c_str(), name.c_str()) == 0 && all;
      }
      for (const auto& [name, value] : e.xattrs) {
        all = lsetxattr(host.c_str(), name.c_str(), value.data(), value.size(), 0) == 0 && all;
      }
    }
    const CopiedAttr copied = copy_attr(at, path, attr_of(e), 0);
    if (!all) notes_->push_back(e.path + ": not all of its extended attributes could be set");
    if (!copied.owner) notes_->push_back(e.path + ": its owner or group could not be set");
  }

  const SnapshotTree& tree_;
  int objects_, upper_, links_;
  std::vector<std::string>* notes_;
  std::unordered_map<uint32_t, std::pair<int, std::string>> made_;
};

}  // namespace

Result<void> copy_object(int from_fd, const std::string& from, int to_fd, const std::string& to) {
  TRY_ASSIGN(const Attr attr, lstat_at(from_fd, from));
  const PathAt target(to_fd, to);
  unlinkat(target.dir(), target.name(), 0);  // left by a copy that was cut short
  return copy_as(from_fd, from, attr, to_fd, to);
}

Result<void> build_tree(const SnapshotTree& tree, int objects_fd, int upper_fd, int links_fd,
                        std::vector<std::string>* notes) {
  return Builder(tree, objects_fd, upper_fd, links_fd, notes).run();
}

}  // namespace viewsh::viewfs
