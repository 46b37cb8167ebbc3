// Preparing a commit: whatever is new is made under temporary names beside where it is to go.
#include "commit_build.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <set>
#include <unordered_map>

#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

/// Errors after which a copy may do instead of a link.
bool cannot_link(int code) {
  return code == EXDEV || code == EPERM || code == EMLINK || code == EOPNOTSUPP || code == ENOSYS;
}

class Builder {
 public:
  Builder(LayerView* view, Tree* lower, CommitPlan* plan, const CommitProgress& progress)
      : view_(*view),
        lower_(*lower),
        upper_(view->layer->upper_fd()),
        plan_(*plan),
        progress_(progress) {}

  std::string run() {
    total_ = plan_.items.size();
    for (const InPlace& in : plan_.record.in_place) total_ += in.backup.empty() ? 0 : 1;
    for (size_t i = 0; i < plan_.items.size() && error_.empty(); ++i) {
      if (plan_.items[i].dir != nullptr) top(i);
    }
    for (const InPlace& in : plan_.record.in_place) {
      if (error_.empty() && !in.backup.empty()) back_up(in);
    }
    if (error_.empty()) fill_numbers();
    return error_;
  }

 private:
  bool fail(const std::string& path, int code) {
    if (error_.empty()) error_ = view_.view_path(path) + ": " + strerror(code);
    return false;
  }
  void tell() {
    if (progress_) progress_("preparing", ++done_, total_);
  }

  void top(size_t number) {
    const Item& item = plan_.items[number];
    if (item.direct) {
      tell();
      return;
    }
    const auto dir = lower_.dir(item.dir->lower, item.dir->stamp.ino);
    if (!dir) {
      fail(item.path, dir.error().value());
      return;
    }
    const std::string name = plan_.record.temp_name(item.temp);
    if (!build(number, (*dir)->get(), name)) return;
    const auto made = lstat_in(*dir, name);
    if (!made) {
      fail(item.path, made.error().value());
      return;
    }
    item.object->stamp = stamp_of(*made);
    item.object->stamp.only_ino = true;  // the commit may yet write to what it is a link of
  }

  bool build(size_t number, int dir_fd, const std::string& name) {
    const Item& item = plan_.items[number];
    tell();
    if (!error_.empty()) return false;
    if (S_ISDIR(item.attr.stx_mode)) return directory(number, dir_fd, name);
    if (item.from == Item::From::kKept) return link_kept(item, dir_fd, name);
    // The first name in the plan need not be the first that is built.
    const auto [first, is_first] =
        built_.try_emplace(item.from == Item::From::kItem ? item.other : number, number);
    if (!is_first) {
      const int code = link_item(first->second, dir_fd, name);
      if (code == 0) return true;
      if (!cannot_link(code)) return fail(item.path, code);
    }
    return file(item, dir_fd, name);
  }

  bool file(const Item& item, int dir_fd, const std::string& name) {
    const auto source = upper_.parent(item.path);
    if (!source) return fail(item.path, source.error().value());
    const int from = (*source)->get();
    if (item.may_link && links_work_) {
      if (linkat(from, item.name.c_str(), dir_fd, name.c_str(), 0) == 0) return true;
      if (!cannot_link(errno)) return fail(item.path, errno);
      links_work_ = errno != EXDEV;
    }
    if (S_ISREG(item.attr.stx_mode)) return copy_file(item, from, dir_fd, name);
    return special(item, from, dir_fd, name);
  }

  bool directory(size_t number, int dir_fd, const std::string& name) {
    const Item& item = plan_.items[number];
    if (mkdirat(dir_fd, name.c_str(), 0700) < 0) return fail(item.path, errno);
    UniqueFd fd(openat(dir_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!fd || fstat(fd.get(), &st) < 0) return fail(item.path, errno);
    for (size_t i = number + 1; i < item.end; i = plan_.items[i].end) {
      // What is new in a directory that is placed here is made where that is now.
      if (plan_.items[i].dir == nullptr && !build(i, fd.get(), plan_.items[i].name)) return false;
    }
    if (item.object != nullptr) item.object->stamp.ino = st.st_ino;
    const auto source = upper_.parent(item.path);
    if (!source) return fail(item.path, source.error().value());
    auto done = copy_xattrs(LongPath((*source)->get(), item.name), LongPath(fd.get(), "."));
    if (!done) return fail(item.path, done.error().value());
    if (item.late) return true;
    done = set_attributes(dir_fd, name, attributes_of(item.attr));
    return done || fail(item.path, done.error().value());
  }

  bool link_kept(const Item& item, int dir_fd, const std::string& name) {
    const auto from = lower_.parent(item.kept);
    if (!from) return fail(item.path, from.error().value());
    const std::string leaf = leaf_of(item.kept);
    return linkat((*from)->get(), leaf.c_str(), dir_fd, name.c_str(), 0) == 0 ||
           fail(item.path, errno);
  }

  /// Another name of an item that is built. 0 or an errno.
  int link_item(size_t number, int dir_fd, const std::string& name) {
    const auto [dir, leaf] = where(number);
    const auto from = lower_.dir(dir);
    if (!from) return from.error().value();
    return linkat((*from)->get(), leaf.c_str(), dir_fd, name.c_str(), 0) == 0 ? 0 : errno;
  }

  /// Directory and name of an item while all is under temporary names.
  std::pair<std::string, std::string> where(size_t number) const {
    const Item& item = plan_.items[number];
    if (item.dir != nullptr) return {item.dir->lower, plan_.record.temp_name(item.temp)};
    size_t top = number;
    while (plan_.items[top].dir == nullptr || plan_.items[top].end <= number) --top;
    const Item& above = plan_.items[top];
    std::string dir = join(above.dir->lower, plan_.record.temp_name(above.temp));
    const std::string rest = item.path.substr(above.path.size() + 1);
    return {join(dir, parent_of(rest)), item.name};
  }

  bool copy_file(const Item& item, int from_fd, int dir_fd, const std::string& name) {
    UniqueFd from = open_anyway(from_fd, item.name, O_RDONLY);
    if (!from) return fail(item.path, errno);
    const auto xattrs = read_own_xattrs_at(from_fd, item.name);
    if (!xattrs) return fail(item.path, xattrs.error().value());
    return copy_open(from.get(), *xattrs, item.attr, dir_fd, name) || fail(item.path, errno);
  }

  /// False: errno says why.
  bool copy_open(int from, const InPlace::Xattrs& xattrs, const Attr& attr, int dir_fd,
                 const std::string& name) {
    UniqueFd to(openat(dir_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!to) return false;
    auto done = copy_data(from, to.get(), attr);
    if (done) done = set_xattrs(LongPath(dir_fd, name), xattrs);
    if (done) done = set_attributes(dir_fd, name, attributes_of(attr));
    if (!done) errno = done.error().value();
    return done.ok();
  }

  bool special(const Item& item, int from_fd, int dir_fd, const std::string& name) {
    if (S_ISLNK(item.attr.stx_mode)) {
      const auto target = read_link(from_fd, item.name);
      if (!target) return fail(item.path, target.error().value());
      if (symlinkat(target->c_str(), dir_fd, name.c_str()) < 0) return fail(item.path, errno);
    } else {
      const dev_t dev = makedev(item.attr.stx_rdev_major, item.attr.stx_rdev_minor);
      if (mknodat(dir_fd, name.c_str(), (item.attr.stx_mode & S_IFMT) | 0600, dev) < 0) {
        return fail(item.path, errno);
      }
      const auto kept = copy_xattrs(LongPath(from_fd, item.name), LongPath(dir_fd, name));
      if (!kept) return fail(item.path, kept.error().value());
    }
    const auto done = set_attributes(dir_fd, name, attributes_of(item.attr));
    return done || fail(item.path, done.error().value());
  }

  void back_up(const InPlace& in) {
    tell();
    const auto dir = lower_.parent(in.path);
    if (!dir) {
      fail(in.path, dir.error().value());
      return;
    }
    const std::string leaf = leaf_of(in.path);
    const auto attr = lstat_in(*dir, leaf);
    UniqueFd from = open_anyway((*dir)->get(), leaf, O_RDONLY);
    if (!attr || !from) {
      fail(in.path, attr ? errno : attr.error().value());
      return;
    }
    Attr own = *attr;
    own.stx_uid = geteuid();  // the copy is the user's, whoever the file belongs to
    own.stx_gid = getegid();
    own.stx_mode = S_IFREG | S_IRUSR | S_IWUSR;
    if (!copy_open(from.get(), in.xattrs_before, own, (*dir)->get(), in.backup)) {
      fail(in.path, errno);
    }
  }

  /// Now that all is made, its inode numbers are known.
  void fill_numbers() {
    CommitRecord& r = plan_.record;
    for (size_t i = 0; i < r.renames.size(); ++i) {
      const CommitPlan::RenameObjects& of = plan_.renames[i];
      r.renames[i].what = of.what->stamp;
      r.renames[i].from_ino = of.from->stamp.ino;
      r.renames[i].to_ino = of.to->stamp.ino;
    }
    for (size_t i = 0; i < r.finish.size(); ++i) r.finish[i].ino = plan_.finish[i]->stamp.ino;
    size_t backup = 0;
    for (size_t i = 0; i < r.trash.size(); ++i) {
      Trash& t = r.trash[i];
      if (plan_.trash[i] != nullptr) {
        t.ino = plan_.trash[i]->stamp.ino;
        t.dir_ino = plan_.trash[i]->parent->stamp.ino;
        continue;
      }
      while (r.in_place[backup].backup != t.name) ++backup;
      const InPlace& in = r.in_place[backup];
      const auto made = lower_.lstat(join(parent_of(in.path), in.backup));
      if (made) t.ino = made->stx_ino;
      if (!made) fail(in.path, made.error().value());
    }
  }

  LayerView& view_;
  Tree& lower_;
  Tree upper_;
  CommitPlan& plan_;
  const CommitProgress& progress_;
  std::string error_;
  std::unordered_map<size_t, size_t> built_;  ///< of what has several names: the planned first, the
                                              ///< built first
  bool links_work_ = true;
  size_t done_ = 0;
  size_t total_ = 0;
};

}  // namespace

Result<void> set_attributes(int dir_fd, const std::string& name, const Attributes& a) {
  TRY_ASSIGN(const Attr now, lstat_at(dir_fd, name));
  return set_attributes(dir_fd, name, a, now);
}

Result<void> set_attributes(int dir_fd, const std::string& name, const Attributes& a,
                            const Attr& before) {
  Attributes now = attributes_of(before);
  if (now.uid != a.uid || now.gid != a.gid) {
    // A user can't give files away, nor to groups of others: the rest is theirs all the same.
    const uid_t uid = now.uid == a.uid ? static_cast<uid_t>(-1) : a.uid;
    if (fchownat(dir_fd, name.c_str(), uid, a.gid, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno != EPERM && errno != EINVAL) return Errno::last();
      (void)!fchownat(dir_fd, name.c_str(), static_cast<uid_t>(-1), a.gid, AT_SYMLINK_NOFOLLOW);
    }
    TRY_ASSIGN(const Attr changed, lstat_at(dir_fd, name));
    now = attributes_of(changed);
  }
  if (!S_ISLNK(now.mode) && (now.mode & 07777) != (a.mode & 07777)) {
    TRY(from_libc(fchmodat(dir_fd, name.c_str(), a.mode & 07777, 0)));
  }
  if (now.atime == a.atime && now.mtime == a.mtime) return {};
  const timespec times[2] = {a.atime.spec(), a.mtime.spec()};
  return from_libc(utimensat(dir_fd, name.c_str(), times, AT_SYMLINK_NOFOLLOW));
}

Result<void> sync_commit(Tree* lower, const CommitRecord& record) {
  lower->forget();
  std::set<dev_t> done, closed;
  const std::function<Result<void>(const std::string&)> sync =
      [&](const std::string& path) -> Result<void> {
    const auto dir = lower->dir(path);
    // It has moved; it is among the others by its new path.
    if (!dir && says_gone(dir.error())) return {};
    // What it got is on the file system of a directory above that can be searched.
    if (!dir && dir.error() == EACCES && !path.empty()) return sync(std::string(parent_of(path)));
    if (!dir) return dir.error();
    struct stat st {};
    TRY(from_libc(fstat((*dir)->get(), &st)));
    if (!done.insert(st.st_dev).second) return {};
    UniqueFd fd(openat((*dir)->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd) return from_libc(syncfs(fd.get()));
    if (errno != EACCES) return Errno::last();
    done.erase(st.st_dev);  // can't be read; another one of that file system can, maybe
    closed.insert(st.st_dev);
    return {};
  };
  for (const TouchedDir& d : record.dirs) TRY(sync(d.path));
  for (const Finish& f : record.finish) TRY(sync(f.path));
  TRY(sync(""));
  // Of a file system without a directory that can be read, all are written.
  for (const dev_t dev : closed) {
    if (done.count(dev) != 0) continue;
    ::sync();
    break;
  }
  return {};
}

std::string prepare_commit(LayerView* view, Tree* lower, CommitPlan* plan,
                           const CommitProgress& progress) {
  return Builder(view, lower, plan, progress).run();
}

}  // namespace viewsh::viewfs
