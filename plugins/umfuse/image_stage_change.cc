// What an image that can be written asks of its stage.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "image_stage.h"
#include "remove_name.h"

namespace viewsh {

namespace {

/// Writes what differs, so that nobody sees less than there is.
Result<void> make_equal(int from, int to) {
  constexpr size_t kAtOnce = size_t{256} << 10;
  std::string wanted(kAtOnce, '\0');
  std::string present(kAtOnce, '\0');
  struct stat st {};
  TRY(from_libc(::fstat(from, &st)));
  for (off_t at = 0; at < st.st_size;) {
    const ssize_t n = ::pread(from, wanted.data(), kAtOnce, at);
    if (n <= 0) return n < 0 ? Errno::last() : Errno(EIO);
    const auto size = static_cast<size_t>(n);
    const bool same = ::pread(to, present.data(), size, at) == n &&
                      memcmp(wanted.data(), present.data(), size) == 0;
    if (!same && ::pwrite(to, wanted.data(), size, at) != n) return Errno::last();
    at += n;
  }
  return from_libc(::ftruncate(to, st.st_size));
}

}  // namespace

const ImageStage::Content* ImageStage::content_of(NodeId node) const {
  const auto known = contents_.find(node);
  return known == contents_.end() ? nullptr : &*known->second;
}

Result<std::string> ImageStage::empty_content(NodeId node, const Attr& attr,
                                              const NodePlace& place) {
  TRY(make_empty(node, attr, place));
  return content(node, attr, place, false);
}

Result<void> ImageStage::make_empty(NodeId node, const Attr& attr, const NodePlace& place) {
  TRY_ASSIGN(const NodeLocks::Hold alone, hold_node(locks_, node));
  if (has_content(node)) return {};  // since just now
  TRY_ASSIGN(const Where where, place_of(node, attr));
  make_room(where, 0);
  TRY_ASSIGN(Content empty, unpack(node, attr, place, where, true));
  recent_.push_back(std::move(empty));
  contents_.emplace(node, std::prev(recent_.end()));
  return {};
}

Result<std::string> ImageStage::object_to_make(NodeId node) {
  const Where where = root(kMemory) ? kMemory : kDisk;
  TRY_ASSIGN(const Root* root, this->root(where));
  return root->path + "/" + base_of(node);
}

Result<void> ImageStage::made(NodeId node) {
  TRY_ASSIGN(const std::string path, object_to_make(node));
  TRY(note(node, AT_FDCWD, path.c_str()));
  objects_[node] = path;
  return {};
}

bool ImageStage::pinned(NodeId node) const {
  const Content* content = content_of(node);
  return content != nullptr && content->pinned;
}

void ImageStage::set_unsaved(NodeId node, bool unsaved) {
  const auto known = contents_.find(node);
  if (known == contents_.end()) return;
  Content& content = *known->second;
  content.unsaved = unsaved;
  if (unsaved) return;
  Root& root = roots_[content.where];
  struct stat st {};
  if (::fstatat(root.fd.get(), relative(content).c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return;
  root.bytes -= std::min(root.bytes, content.bytes);
  content.bytes = static_cast<uint64_t>(st.st_blocks) * 512;
  root.bytes += content.bytes;
}

Result<UniqueFd> ImageStage::open_content(NodeId node, int flags) const {
  const Content* content = content_of(node);
  if (content == nullptr) return Errno(ENOENT);
  const int dir = roots_[content->where].fd.get();
  const std::string path = relative(*content);
  const int how = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  UniqueFd fd(::openat(dir, path.c_str(), how));
  struct stat st {};
  const bool closed = !fd && errno == EACCES && ::fstatat(dir, path.c_str(), &st, 0) == 0;
  if (closed && ::fchmodat(dir, path.c_str(), (st.st_mode & 07777) | 0600, 0) == 0) {
    fd.reset(::openat(dir, path.c_str(), how));
    TRY(from_libc(::fchmodat(dir, path.c_str(), st.st_mode & 07777, 0)));
  }
  if (!fd) return Errno::last();
  return fd;
}

bool ImageStage::stat_content(NodeId node, struct stat* st) const {
  const Content* content = content_of(node);
  if (content == nullptr) return false;
  const int dir = roots_[content->where].fd.get();
  return ::fstatat(dir, relative(*content).c_str(), st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool ImageStage::let_go(NodeId node) {
  const auto object = objects_.find(node);
  if (object != objects_.end()) return false;
  const auto known = contents_.find(node);
  if (known == contents_.end()) return true;
  const bool stays = known->second->pinned || known->second->unsaved || opening(node);
  return !stays && drop(known->second);
}

Result<void> ImageStage::renew(NodeId node, const std::function<bool()>& wanted) {
  TRY_ASSIGN(const NodeLocks::Hold alone, hold_node(locks_, node));
  const auto known = contents_.find(node);
  if (known == contents_.end() || !wanted()) return {};
  const bool stays = known->second->pinned || known->second->unsaved;
  if (!stays && !opening(node) && drop(known->second)) return {};
  const uint64_t object = known->second->ino;
  Root& root = roots_[known->second->where];
  const UniqueFd now(::open(root.path.c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
  if (!now) return Errno::last();
  TRY(image_.extract(node, now.get()));
  const Content* content = content_of(node);
  if (content == nullptr || content->ino != object || !wanted()) return {};
  const auto old = open_content(node, O_RDWR);
  // A program that runs stays what it is. execve(2), ETXTBSY
  if (!old) return old.error() == ETXTBSY || old.error() == ENOENT ? Result<void>() : old.error();
  return make_equal(now.get(), old->get());
}

/// fcntl(2): a lease on reading is given where nobody can write, one on writing where nobody has
/// the file at all. Whoever opens it meanwhile waits until it is given back, a moment later.
bool ImageStage::lease_granted(int fd, int type) {
  return ::fcntl(fd, F_SETSIG, SIGURG) == 0 && ::fcntl(fd, F_SETLEASE, type) == 0;
}

bool ImageStage::lease_granted(NodeId node, int type) const {
  const auto fd = open_content(node, O_RDONLY);
  return fd && lease_granted(fd->get(), type);
}

bool ImageStage::in_use(NodeId node) const {
  return content_of(node) != nullptr && (opening(node) || !lease_granted(node, F_WRLCK));
}

bool ImageStage::has_writers(NodeId node) const {
  return content_of(node) != nullptr && (opening(node) || !lease_granted(node, F_RDLCK));
}

bool ImageStage::opening(NodeId node) const {
  const Content* content = content_of(node);
  return content != nullptr && opening_.count(host_path(*content)) != 0;
}

void ImageStage::opened(const std::string& host) {
  const auto known = opening_.find(host);
  if (known == opening_.end() || --known->second > 0) return;
  opening_.erase(known);
  const auto leaves = leaving_.find(host);
  if (leaves == leaving_.end()) return;
  (void)::unlink(host.c_str());
  const std::string directory = host.substr(0, host.rfind('/'));
  if (directory != roots_[leaves->second].path) (void)::rmdir(directory.c_str());
  leaving_.erase(leaves);
}

Result<void> ImageStage::renamed(NodeId node, const Attr& attr, std::string_view name,
                                 const NodePlace* told) {
  const auto known = contents_.find(node);
  const auto object = objects_.find(node);
  if (known == contents_.end()) {
    // Who may write to a socket may connect to it. unix(7)
    const bool socket = S_ISSOCK(attr.stx_mode) && object != objects_.end();
    const mode_t mode = own_rights(image_, node, attr, R_OK | W_OK, host_.credentials()) |
                        (limits_.as_root ? 0600 : 0);
    return socket ? from_libc(::chmod(object->second.c_str(), mode)) : Result<void>();
  }
  if (name.empty()) name = "program";  // one without a name
  Content& content = *known->second;
  const int dir = roots_[content.where].fd.get();
  const bool program = (attr.stx_mode & 0111) != 0;
  const std::string number = content.base;
  const std::string before = relative(content);
  if (opening(node)) {
    // Who is about to open it knows it by the path that it has.
  } else if (program && content.name.empty()) {
    const std::string aside = number + ".moves";
    TRY(from_libc(::renameat(dir, number.c_str(), dir, aside.c_str())));
    const bool folder = ::mkdirat(dir, number.c_str(), 0700) == 0;
    content.name = folder ? name : "";
    const std::string to = relative(content);
    if (!folder || ::renameat(dir, aside.c_str(), dir, to.c_str()) < 0) {
      const Errno failed = Errno::last();
      content.name.clear();
      if (folder) (void)::unlinkat(dir, number.c_str(), AT_REMOVEDIR);
      TRY(from_libc(::renameat(dir, aside.c_str(), dir, number.c_str())));
      return failed;
    }
  } else if (program && content.name != name) {
    const std::string to = number + "/" + std::string(name);
    TRY(from_libc(::renameat(dir, before.c_str(), dir, to.c_str())));
    content.name = name;
  }
  const mode_t rights = rights_of(node, attr);
  const std::string seat = told != nullptr ? this->seat(*told) : std::string();
  const std::string path = !seat.empty() && is_content(node, seat) ? seat : relative(content);
  struct stat st {};
  // Who watches the file would take it for a change.
  const bool same = told == nullptr && ::fstatat(dir, path.c_str(), &st, 0) == 0 &&
                    (st.st_mode & 07777) == rights;
  return same ? Result<void>() : from_libc(::fchmodat(dir, path.c_str(), rights, 0));
}

/// Others than a user's can't be shown by an object of an ordinary user's.
bool ImageStage::xattr_changed(NodeId node, const NodePlace& place, const std::string& name,
                               const std::string* value) {
  xattrs_.erase(node);
  if (!name.starts_with("user.")) return false;
  // Where the scratch directory takes none, none is shown.
  const auto change = [&](const char* path) {
    return (value != nullptr ? ::lsetxattr(path, name.c_str(), value->data(), value->size(), 0)
                             : ::lremovexattr(path, name.c_str())) == 0;
  };
  const std::string seat = this->seat(place);
  const auto object = objects_.find(node);
  bool told = false;
  if (object != objects_.end() && change(object->second.c_str()))
    told = seat.empty() || object->second == seat;
  const Content* content = content_of(node);
  if (content == nullptr) return told;
  const bool seated = !seat.empty() && is_content(node, seat);
  return change(seated ? seat.c_str() : host_path(*content).c_str()) && (seated || seat.empty());
}

void ImageStage::forget(NodeId node, Ghost* last) {
  const auto object = objects_.find(node);
  if (object != objects_.end()) {
    forget_object(object->second, last);
    objects_.erase(object);
    ++generations_[node];
  }
  const auto content = contents_.find(node);
  if (content != contents_.end()) {
    ++generations_[node];
    forget_content(content->second, last);
  }
  xattrs_.erase(node);
  unwatch(node);
}

void ImageStage::forget_content(Recent::iterator content, Ghost* last) {
  const std::string host = host_path(*content);
  if (last != nullptr) {
    auto fd = open_content(content->node, O_RDONLY);
    if (last->held && fd) last->fd = std::move(*fd);
    keep_ghost({content->dev, content->ino}, host, last);
  }
  if (opening_.count(host) != 0) {
    leaving_[host] = content->where;
  } else {
    (void)::unlink(host.c_str());
  }
  erase(content);
}

void ImageStage::forget_object(const std::string& path, Ghost* last) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) < 0) return;
  const InodeKey key{st.st_dev, st.st_ino};
  by_inode_.erase(key);
  // Attributes of a file that has a content, too, aren't what anybody has open.
  const bool itself = last != nullptr && S_ISREG(st.st_mode) == S_ISREG(last->attr.stx_mode) &&
                      !S_ISREG(st.st_mode);
  const bool seated = last != nullptr && !last->seat.empty() && path == last->seat;
  // Who watches it would take those for a change.
  if (last != nullptr)
    last->bare = S_ISDIR(st.st_mode) && (seated || heard_.count(last->node) != 0);
  if (itself) keep_ghost(key, path, last);
  if (seated) return;  // as its name, a little later
  // One that is watched may hold names that a server took away by itself.
  (void)remove_name(path);
}

/// From now on it is the kernel's alone, so that has to have its permissions and times.
void ImageStage::keep_ghost(InodeKey key, const std::string& host, Ghost* last) {
  drop_ghost(key);
  const Attr& attr = last->attr;
  const timespec times[2] = {{attr.stx_atime.tv_sec, attr.stx_atime.tv_nsec},
                             {attr.stx_mtime.tv_sec, attr.stx_mtime.tv_nsec}};
  if (!last->bare) (void)::utimensat(AT_FDCWD, host.c_str(), times, AT_SYMLINK_NOFOLLOW);
  if (!last->bare && !S_ISLNK(attr.stx_mode)) (void)::chmod(host.c_str(), attr.stx_mode & 07777);
  last->host = host;
  ghost_paths_[host] = key;
  if (!last->seat.empty()) ghost_paths_[last->seat] = key;
  constexpr size_t kMost = 4096;
  if (!last->held) unheld_.push_back(key);
  if (unheld_.size() > kMost) {
    const auto oldest = ghosts_.find(unheld_.front());
    if (oldest != ghosts_.end() && !oldest->second.held) drop_ghost(unheld_.front());
    unheld_.pop_front();
  }
  ghosts_[key] = std::move(*last);
}

void ImageStage::drop_ghost(InodeKey key) {
  const auto ghost = ghosts_.find(key);
  if (ghost == ghosts_.end()) return;
  for (const std::string& path : {ghost->second.host, ghost->second.seat}) {
    const auto known = ghost_paths_.find(path);
    const bool own =
        known != ghost_paths_.end() && !(known->second < key) && !(key < known->second);
    if (own) ghost_paths_.erase(known);
  }
  ghosts_.erase(ghost);
}

std::vector<NodeId> ImageStage::ended() {
  std::vector<NodeId> nodes;
  std::vector<InodeKey> gone;
  for (const auto& [key, ghost] : ghosts_) {
    const bool open = opening_.count(ghost.host) != 0;
    if (!ghost.fd || open || !lease_granted(ghost.fd.get(), F_WRLCK)) continue;
    nodes.push_back(ghost.node);
    gone.push_back(key);
  }
  for (const InodeKey& key : gone) drop_ghost(key);
  return nodes;
}

const ImageStage::Ghost* ImageStage::ghost_of(const Attr& native) const {
  if (ghosts_.empty()) return nullptr;
  const uint64_t dev = makedev(native.stx_dev_major, native.stx_dev_minor);
  const auto found = ghosts_.find({dev, native.stx_ino});
  return found == ghosts_.end() ? nullptr : &found->second;
}

const ImageStage::Ghost* ImageStage::ghost_at(const std::string& host) const {
  const auto found = ghost_paths_.find(host);
  if (found == ghost_paths_.end()) return nullptr;
  const auto ghost = ghosts_.find(found->second);
  return ghost == ghosts_.end() ? nullptr : &ghost->second;
}

}  // namespace viewsh
