// Writing a layer's changes to the tree below it. Nothing is followed out of that tree: the only
// path that is walked is the one to a directory, by openat2 without links; the rest goes by
// descriptors of directories. In this order: what was renamed is moved aside, then everything is
// put in its place from the top down, then what was deleted with something moved out of it goes.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "cow_host.h"
#include "host_ops.h"
#include "layer_view.h"

namespace viewsh::viewfs {
namespace {

using Fd = std::shared_ptr<UniqueFd>;

Fd open_beneath(int root, const std::string& path) {
  return std::make_shared<UniqueFd>(host_ops::open_beneath(root, path, O_RDONLY | O_DIRECTORY));
}

/// A directory is held open for each level of the tree that is written.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);  // else EMFILE tells
}

Fd open_child(const Fd& dir, const std::string& name) {
  return std::make_shared<UniqueFd>(
      openat(dir->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/// A file of the layer that its owner can't read gets readable for as long as this lives.
class Readable {
 public:
  Readable(int dir_fd, const std::string& path) : at_(dir_fd, path) {
    struct stat st {};
    if (fstatat(at_.dir(), at_.name(), &st, AT_SYMLINK_NOFOLLOW) < 0) return;
    if (!S_ISREG(st.st_mode)) return;
    if ((st.st_mode & S_IRUSR) != 0 || st.st_uid != geteuid()) return;
    mode_ = st.st_mode & 07777;
    changed_ = fchmodat(at_.dir(), at_.name(), mode_ | S_IRUSR, 0) == 0;
  }
  ~Readable() {
    if (changed_) fchmodat(at_.dir(), at_.name(), mode_, 0);
  }
  Readable(const Readable&) = delete;
  Readable& operator=(const Readable&) = delete;

 private:
  PathAt at_;
  mode_t mode_ = 0;
  bool changed_ = false;
};

/// A regular file opened for new content, the owner's even where its mode forbids it.
UniqueFd open_to_rewrite(int dir_fd, const std::string& name) {
  const int flags = O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  UniqueFd fd(openat(dir_fd, name.c_str(), flags));
  struct stat st {};
  if (fd || errno != EACCES || fstatat(dir_fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
    return fd;
  }
  const mode_t mode = st.st_mode & 07777;
  if (fchmodat(dir_fd, name.c_str(), mode | S_IWUSR, 0) < 0) return fd;
  fd.reset(openat(dir_fd, name.c_str(), flags));
  const int code = errno;
  fchmodat(dir_fd, name.c_str(), mode, 0);
  errno = code;
  return fd;
}

class Commit {
 public:
  Commit(LayerView* view, const Selection& selection) : view_(*view), selection_(selection) {}

  std::string run() {
    root_.reset(open(view_.layer->lower().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_) return view_.layer->lower() + ": " + strerror(errno);
    rewrite_linked();
    if (error_.empty()) stage();
    if (error_.empty()) {
      Fd top = open_beneath(root_.get(), "");
      directory(view_.index.root(), "", "", true, top);
    }
    if (!error_.empty()) unstage();
    for (const auto& [dir, name] : trash_) {
      if (!error_.empty()) break;
      if (const auto gone = host_ops::remove_tree(dir->get(), name); !gone) {
        error_ = name + ": can't be removed: " + gone.error().message();
      }
    }
    for (const auto& [dir, mode] : loosened_) fchmod(dir->get(), mode);
    // Names are in their places: what the view calls a directory is its path in the lower, too.
    if (error_.empty()) {
      const Fd top = open_beneath(root_.get(), "");
      finish_below(view_.index.root(), "", top);
      if (selection_.all() && *top) finish(top, view_.index.root(), "");
    }
    return error_;
  }

 private:
  struct Staged {
    Fd dir;
    std::string temp;
    std::string name;
    bool link;  ///< the lower keeps its name: `temp` is another one
  };

  bool fail(const std::string& path, int code) {
    if (error_.empty()) error_ = view_.view_path(path) + ": " + strerror(code);
    return false;
  }
  std::string temp_name() {
    return ".viewsh-commit-" + std::to_string(getpid()) + "-" + std::to_string(++counter_);
  }

  /// Moves what has another name now aside, the deepest first; directories stay reachable by fd.
  /// What only got another name is linked there instead.
  void stage() {
    std::map<std::string, Fd> parents;
    std::map<std::string, int> names;  // that a source still has to get
    std::vector<Node*> nodes;
    view_.index.each([&](Node* node) {
      if (!node->present() || !node->meta || node->meta->redirect.empty()) return;
      const std::string& source = node->meta->redirect;
      const bool moved = node->merged() || node->state == Node::State::kRef;
      if (!moved || !selection_.has(Index::path_of(node))) return;
      Fd& dir = parents[std::string(parent_of(source))];
      if (!dir) dir = open_beneath(root_.get(), std::string(parent_of(source)));
      if (!*dir) fail(source, errno);
      ++names[source];
      nodes.push_back(node);
    });
    const auto depth = [](const Node* node) {
      const std::string& source = node->meta->redirect;
      return std::count(source.begin(), source.end(), '/');
    };
    std::stable_sort(nodes.begin(), nodes.end(),
                     [&](const Node* a, const Node* b) { return depth(a) > depth(b); });
    for (const Node* node : nodes) {
      if (!error_.empty()) return;
      const std::string& source = node->meta->redirect;
      const Fd& dir = parents[std::string(parent_of(source))];
      loosen(dir);
      const bool link = --names[source] > 0 || view_.shown_at_home(source);
      Staged s{dir, temp_name(), std::string(name_of(source)), link};
      const int rc = link ? linkat(dir->get(), s.name.c_str(), dir->get(), s.temp.c_str(), 0)
                          : renameat(dir->get(), s.name.c_str(), dir->get(), s.temp.c_str());
      if (rc < 0) {
        fail(source, errno);
        return;
      }
      staged_[node] = std::move(s);
      order_.push_back(node);
    }
  }

  /// Copies of lower files with names that the layer has nothing of: those names have to see the
  /// new content, so their inode stays and gets it. First, since what else is linked to it follows.
  void rewrite_linked() {
    view_.index.each([&](Node* node) {
      const Meta* meta = node->meta.get();
      if (!error_.empty() || meta == nullptr || !meta->origin || !meta->redirect.empty()) return;
      if (node->state != Node::State::kUpper || node->type != NodeType::kRegular) return;
      const LowerState& origin = *meta->origin;
      if (view_.index.linked().count({origin.dev, origin.ino}) == 0) return;
      const std::string path = Index::path_of(node);
      if (!selection_.has(path)) return;
      const std::string lower = Index::lower_path_of(node);
      Fd dir = open_beneath(root_.get(), std::string(parent_of(lower)));
      struct stat st {};
      if (!*dir || fstatat(dir->get(), node->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
          st.st_ino != origin.ino) {
        return;
      }
      const Attr attr = shown(node, path);
      if (!error_.empty()) return;
      const bool first = linked_.emplace(attr.stx_ino, std::make_pair(dir, node->name)).second;
      if (first) rewrite(dir, node, path, attr);
    });
  }

  void unstage() {
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
      const auto s = staged_.find(*it);
      if (s == staged_.end()) continue;
      const int dir = s->second.dir->get();
      if (s->second.link) {
        unlinkat(dir, s->second.temp.c_str(), 0);
      } else {
        renameat2(dir, s->second.temp.c_str(), dir, s->second.name.c_str(), RENAME_NOREPLACE);
      }
    }
    for (const auto& [dir, name] : trash_) {
      error_ += "; what was replaced is kept as " + name;
      break;
    }
  }

  /// A directory of the user's that can't be written gets so until the end.
  void loosen(const Fd& dir) {
    struct stat st {};
    if (fstat(dir->get(), &st) < 0 || st.st_uid != geteuid()) return;
    if ((st.st_mode & S_IRWXU) == S_IRWXU) return;
    if (fchmod(dir->get(), (st.st_mode & 07777) | S_IRWXU) == 0) {
      loosened_.emplace_back(dir, st.st_mode & 07777);
    }
  }

  /// Makes a position free.
  bool clear(const Fd& dir, const std::string& name, const std::string& path,
             const std::string& lower) {
    struct stat st {};
    if (fstatat(dir->get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) {
      return errno == ENOENT || fail(path, errno);
    }
    if (S_ISDIR(st.st_mode) && !lower.empty() && view_.source_below(lower)) {
      const std::string trash = temp_name();
      if (renameat(dir->get(), name.c_str(), dir->get(), trash.c_str()) < 0) {
        return fail(path, errno);
      }
      trash_.emplace_back(dir, trash);
      return true;
    }
    const auto gone = host_ops::remove_tree(dir->get(), name);
    return gone || fail(path, gone.error().value());
  }

  bool place(const Fd& dir, Node* node, const std::string& path, const std::string& lower) {
    const auto s = staged_.find(node);
    if (s == staged_.end()) return fail(path, ENOENT);
    if (!clear(dir, node->name, path, lower)) return false;
    const Staged& from = s->second;
    if (renameat(from.dir->get(), from.temp.c_str(), dir->get(), node->name.c_str()) < 0) {
      return fail(path, errno);
    }
    staged_.erase(s);
    return true;
  }

  Attr shown(Node* node, const std::string& path) {
    auto attr = lstat_at(view_.layer->upper_fd(), path);
    if (!attr) {
      fail(path, attr.error().value());
      return {};
    }
    const Meta* meta = node->meta.get();
    if (meta != nullptr && meta->mode) {
      attr->stx_mode = static_cast<uint16_t>((attr->stx_mode & S_IFMT) | *meta->mode);
    }
    if (meta != nullptr && meta->uid) attr->stx_uid = *meta->uid;
    if (meta != nullptr && meta->gid) attr->stx_gid = *meta->gid;
    return *attr;
  }

  /// New content for a lower file that keeps its inode, since it has other names.
  bool rewrite(const Fd& dir, Node* node, const std::string& path, const Attr& attr) {
    const Readable readable(view_.layer->upper_fd(), path);
    UniqueFd from(
        open(LongPath(view_.upper_host(path)).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!from) return fail(path, errno);
    UniqueFd to = open_to_rewrite(dir->get(), node->name);
    if (!to) return fail(path, errno);
    const auto done = copy_data(from.get(), to.get(), attr);
    if (!done) return fail(path, done.error().value());
    copy_xattrs(LongPath(view_.upper_host(path)), LongPath(dir->get(), node->name));
    copy_attr(dir->get(), node->name, attr, 0);
    return true;
  }

  bool make(const Fd& dir, Node* node, const std::string& path, const Attr& attr,
            const std::string& temp) {
    const mode_t type = attr.stx_mode & S_IFMT;
    if (type == S_IFREG || type == S_IFLNK) {
      const Readable readable(view_.layer->upper_fd(), path);
      const auto done = copy_node(view_.upper_host(path), attr, dir->get(), temp, true);
      return done || fail(path, done.error().value());
    }
    if (mknodat(dir->get(), temp.c_str(), attr.stx_mode, 0) < 0) return fail(path, errno);
    copy_attr(dir->get(), temp, attr, 0);
    (void)node;
    return true;
  }

  bool file(const Fd& dir, Node* node, const std::string& path, const std::string& lower) {
    const bool moved = node->meta && !node->meta->redirect.empty();
    if (node->state == Node::State::kRef) {
      if (moved && !place(dir, node, path, lower)) return false;
      if (node->meta->mode && node->meta->changed) {
        if (fchmodat(dir->get(), node->name.c_str(), *node->meta->mode, 0) < 0) {
          return fail(path, errno);
        }
      }
      return true;
    }
    const Attr attr = shown(node, path);
    if (!error_.empty()) return false;
    struct stat st {};
    const bool there = fstatat(dir->get(), node->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
    const auto first = linked_.find(attr.stx_ino);
    struct stat same {};
    if (there && first != linked_.end() &&
        fstatat(first->second.first->get(), first->second.second.c_str(), &same,
                AT_SYMLINK_NOFOLLOW) == 0 &&
        same.st_ino == st.st_ino) {
      return true;  // a name of what is written already
    }
    if (there && S_ISDIR(st.st_mode) && !clear(dir, node->name, path, lower)) return false;
    const std::string temp = temp_name();
    if (first != linked_.end()) {
      if (linkat(first->second.first->get(), first->second.second.c_str(), dir->get(), temp.c_str(),
                 0) < 0) {
        return fail(path, errno);
      }
    } else if (!make(dir, node, path, attr, temp)) {
      return false;
    }
    if (renameat(dir->get(), temp.c_str(), dir->get(), node->name.c_str()) < 0) {
      const int code = errno;
      unlinkat(dir->get(), temp.c_str(), 0);
      return fail(path, code);
    }
    unlinkat(dir->get(), temp.c_str(), 0);  // two names of one inode: rename(2) did nothing
    if (attr.stx_nlink > 1) linked_.emplace(attr.stx_ino, std::make_pair(dir, node->name));
    return true;
  }

  /// The directory of a node, there after this. Null: failed.
  Fd child_dir(const Fd& dir, Node* node, const std::string& path, const std::string& lower) {
    if (node->merged()) {
      if (!node->meta->redirect.empty() && !place(dir, node, path, lower)) return nullptr;
    } else {
      struct stat st {};
      const bool there = fstatat(dir->get(), node->name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
      if (there && selection_.has(path) && !clear(dir, node->name, path, lower)) return nullptr;
      if (mkdirat(dir->get(), node->name.c_str(), 0700) < 0 && errno != EEXIST) {
        fail(path, errno);
        return nullptr;
      }
    }
    Fd fd = open_child(dir, node->name);
    if (*fd) return fd;
    fail(path, errno);
    return nullptr;
  }

  void directory(Node* node, const std::string& path, const std::string& lower, bool has_lower,
                 const Fd& dir) {
    if (!node->children) return;
    if (const auto attr = lstat_at(dir->get(), "")) before_.emplace(node, *attr);
    loosen(dir);
    for (auto& [name, entry] : *node->children) {
      Node* child = entry.get();
      if (!error_.empty()) return;
      const std::string child_path = join(path, name);
      if (!selection_.touches(child_path)) continue;
      const std::string child_lower = has_lower ? join(lower, name) : std::string();
      const bool meant = selection_.has(child_path);
      if (!child->present()) {
        if (meant && child->hidden) clear(dir, child->name, child_path, child_lower);
      } else if (!child->is_dir()) {
        if (meant) file(dir, child, child_path, child_lower);
      } else {
        Fd below = child_dir(dir, child, child_path, child_lower);
        if (!below) return;
        const bool merged = child->merged();
        const std::string& moved = merged ? child->meta->redirect : std::string();
        directory(child, child_path, moved.empty() ? child_lower : moved, merged, below);
      }
    }
  }

  /// A directory that the view did not change itself keeps what it has; its time is that of the
  /// view where names came and went there, else that from before the commit.
  void finish_times(const Fd& dir, Node* node, const Attr& attr) {
    const auto& origin = node->meta->origin;
    const auto before = before_.find(node);
    if (!origin || nanoseconds(attr.stx_mtime) != origin->mtime) {
      (void)set_times(dir->get(), ".", attr);
    } else if (before != before_.end()) {
      (void)set_times(dir->get(), ".", before->second);
    }
  }

  /// A directory's own attributes, when everything in it is done.
  void finish(const Fd& dir, Node* node, const std::string& path) {
    const Attr attr = shown(node, path);
    if (!error_.empty()) return;
    if (node->merged() && !node->meta->changed) {
      finish_times(dir, node, attr);
      return;
    }
    copy_xattrs(LongPath(view_.upper_host(path)), LongPath(dir->get(), "."));
    copy_attr(dir->get(), ".", attr, 0);
  }

  void finish_below(Node* node, const std::string& path, const Fd& dir) {
    if (!node->children || !*dir) return;
    for (auto& [name, entry] : *node->children) {
      Node* child = entry.get();
      const std::string child_path = join(path, name);
      if (!child->is_dir() || !selection_.touches(child_path)) continue;
      Fd below = open_child(dir, child->name);
      if (!*below) continue;
      finish_below(child, child_path, below);
      if (selection_.has(child_path) || !child->merged()) finish(below, child, child_path);
    }
  }

  LayerView& view_;
  const Selection& selection_;
  UniqueFd root_;
  std::map<const Node*, Staged> staged_;
  std::vector<const Node*> order_;
  std::vector<std::pair<Fd, std::string>> trash_;
  std::vector<std::pair<Fd, mode_t>> loosened_;
  std::map<uint64_t, std::pair<Fd, std::string>> linked_;
  std::map<const Node*, Attr> before_;  ///< directories as the commit found them
  std::string error_;
  int counter_ = 0;
};

}  // namespace

std::string apply_changes(LayerView* view, const Selection& selection) {
  raise_descriptor_limit();
  return Commit(view, selection).run();
}

std::string drop_changes(LayerView* view, const std::vector<NodeChange>& changes) {
  Index& index = view->index;
  const int upper = view->layer->upper_fd();
  for (const NodeChange& c : changes) {
    // Something above it may be gone already, and it with that.
    Node* node = index.find(c.path);
    if (node == nullptr) continue;
    const std::string source = node->present() && node->meta ? node->meta->redirect : std::string();
    const bool metadata_only = node->merged() && source.empty();
    Transaction t;
    if (metadata_only) {
      Meta meta = *node->meta;
      meta.mode.reset(), meta.uid.reset(), meta.gid.reset();
      meta.changed = false;
      if (const auto now = lstat_at(AT_FDCWD, c.change.lower)) {
        meta.origin = lower_state(*now);
        copy_attr(upper, c.path.empty() ? "." : c.path, *now, S_IRWXU);
      }
      t.records.push_back(Record::node(c.path, std::move(meta)));
    } else {
      if (node->state == Node::State::kUpper) {
        const auto gone = host_ops::remove_tree(upper, c.path);
        if (!gone) return c.change.path + ": " + gone.error().message();
      }
      t.records.push_back(Record::clear(c.path));
      t.records.push_back(Record::show(c.path));
      if (!source.empty()) t.records.push_back(Record::show(source));
    }
    index.apply(t);
  }
  const auto done = view->layer->compact(index.snapshot(), true);
  return done ? std::string() : "log: " + done.error().message();
}

}  // namespace viewsh::viewfs
