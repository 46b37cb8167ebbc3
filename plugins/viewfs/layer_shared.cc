#include "layer_shared.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cow_host.h"
#include "cow_index.h"
#include "layer.h"
#include "layer_tree.h"
#include "remove_tree.h"

namespace viewsh::viewfs {
namespace {

constexpr char kDir[] = "snapshots";
constexpr char kCopy[] = "snapshots/.copy";

Result<std::vector<std::string>> names_in(int layer_fd) {
  std::vector<std::string> out;
  UniqueFd fd(openat(layer_fd, kDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == ENOENT) return out;
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return Errno::last();
  (void)fd.release();  // closedir() closes it
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") out.push_back(name);
    errno = 0;  // readdir(3): the end of the directory leaves it
  }
  const Errno why = Errno::last();
  closedir(dir);
  if (!(why == 0)) return why;
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<std::vector<std::string>> snapshot_names(int layer_fd) {
  TRY_ASSIGN(std::vector<std::string> out, names_in(layer_fd));
  std::erase_if(out, [](const std::string& name) { return name[0] == '.'; });
  return out;
}

void drop_unfinished_snapshots(int layer_fd) {
  UniqueFd dir(openat(layer_fd, kDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const auto names = names_in(layer_fd);
  // What can't be removed now is tried again at the next opening; it has no effect till then.
  if (!dir || !names) return;
  for (const std::string& name : *names) {
    if (name[0] == '.') (void)remove_large_tree(dir.get(), name);
  }
}

bool SnapshotLinks::none() {
  if (some_ < 0) {
    const auto names = snapshot_names(layer_fd_);
    if (!names) return false;  // it is looked again
    some_ = names->empty() ? 0 : 1;
  }
  return some_ == 0;
}

Result<void> SnapshotLinks::read() {
  if (read_) return {};
  objects_.clear();
  TRY_ASSIGN(names_, snapshot_names(layer_fd_));
  for (uint32_t i = 0; i < names_.size(); ++i) {
    TRY(read_objects(i, ""));
    for (uint32_t k = 0; k < SnapshotTree::kShelves; ++k) {
      TRY(read_objects(i, SnapshotTree::shelf(k)));
    }
  }
  read_ = true;
  std::sort(objects_.begin(), objects_.end(),
            [](const Object& a, const Object& b) { return a.ino < b.ino; });
  return {};
}

Result<void> SnapshotLinks::read_objects(uint32_t snapshot, const std::string& shelf) {
  const std::string dir_of = std::string(kDir) + "/" + names_[snapshot] + "/objects";
  const std::string path = join(dir_of, shelf);
  UniqueFd fd(openat(layer_fd_, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // ENOTDIR: it is an object of that name.
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return {};
  DIR* dir = fd ? fdopendir(fd.get()) : nullptr;
  if (dir == nullptr) return Errno::last();
  const int dir_fd = fd.release();
  Errno why;
  errno = 0;
  // Not every file system has the inode numbers of stat(2) in its directories.
  int trusted = -1;
  for (; const dirent* entry = readdir(dir); errno = 0) {
    // An object may have the name of a shelf, of which none has objects beside it.
    if (entry->d_name[0] == '.' || entry->d_type == DT_DIR) continue;
    uint64_t ino = entry->d_ino;
    if (trusted != 1) {
      struct stat st {};
      if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT) why = Errno::last();
        continue;
      }
      if (trusted < 0) trusted = st.st_ino == ino ? 1 : 0;
      ino = st.st_ino;
    }
    objects_.push_back({ino, snapshot, join(shelf, entry->d_name), false});
  }
  if (errno != 0) why = Errno::last();
  closedir(dir);
  return why == 0 ? Result<void>() : why;
}

uint32_t SnapshotLinks::count(uint64_t ino) {
  if (none() || !read()) return 0;
  const auto [first, last] =
      std::equal_range(objects_.begin(), objects_.end(), Object{ino, 0, {}, false},
                       [](const Object& a, const Object& b) { return a.ino < b.ino; });
  return static_cast<uint32_t>(
      std::count_if(first, last, [](const Object& object) { return !object.own; }));
}

Result<void> SnapshotLinks::unshare(int upper_fd, const std::string& path) {
  if (none()) return {};
  TRY_ASSIGN(const Attr attr, lstat_at(upper_fd, path));
  if (attr.stx_nlink < 2) return {};
  TRY(read());
  const auto [first, last] =
      std::equal_range(objects_.begin(), objects_.end(), Object{attr.stx_ino, 0, {}, false},
                       [](const Object& a, const Object& b) { return a.ino < b.ino; });
  if (std::all_of(first, last, [](const Object& object) { return object.own; })) return {};
  return replace(upper_fd, path, &*first, &*first + (last - first));
}

Result<void> SnapshotLinks::replace(int upper_fd, const std::string& path, Object* first,
                                    Object* last) {
  TRY(copy_object(upper_fd, path, layer_fd_, kCopy));
  Result<void> done;
  for (Object* object = first; object != last && done; ++object) {
    if (object->own) continue;
    // Each gets the same content under its name in one step; a crash leaves the others sharing.
    const std::string dir = std::string(kDir) + "/" + names_[object->snapshot] + "/objects/";
    const std::string next = dir + ".next";
    unlinkat(layer_fd_, next.c_str(), 0);
    done = from_libc(linkat(layer_fd_, kCopy, layer_fd_, next.c_str(), 0));
    if (!done && (done.error() == EPERM || done.error() == EOPNOTSUPP)) {
      done = copy_object(upper_fd, path, layer_fd_, next);
    }
    if (done) {
      done = from_libc(renameat(layer_fd_, next.c_str(), layer_fd_, (dir + object->name).c_str()));
    }
    // The view may write into the inode at once; at a power cut the object must not be that any
    // more.
    if (done) {
      const std::string at(parent_of(dir + object->name));
      const UniqueFd objects(openat(layer_fd_, at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      done = objects ? from_libc(fsync(objects.get())) : Errno::last();
    }
    object->own = done.ok();
  }
  unlinkat(layer_fd_, kCopy, 0);
  return done;
}

}  // namespace viewsh::viewfs
