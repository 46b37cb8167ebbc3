#include "image_stage.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace viewsh {
namespace {

constexpr mode_t kUserMask = 0700;

int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

/// Only of what can be executed the name counts.
bool is_program(const Attr& attr) { return (attr.stx_mode & 0111) != 0; }

}  // namespace

bool image_allows(Image& image, NodeId node, const Attr& attr, int want, const Caller& task) {
  const Caller caller = task.in_view();
  const unsigned mode = attr.stx_mode;
  if (caller.uid == 0) return (want & X_OK) == 0 || S_ISDIR(mode) || (mode & 0111U) != 0;
  unsigned bits = mode & 7U;
  const bool owner = caller.uid == attr.stx_uid;
  // acl_permission_check() of fs/namei.c: where the group has no rights, no ACL gives any.
  if (!owner && (mode & S_IRWXG) != 0 && image.own_meta()) {
    const std::optional<bool> allowed = image.acl_allows(node, attr, want, caller);
    if (allowed) return *allowed;
  }
  if (owner) {
    bits = (mode >> 6U) & 7U;
  } else if (caller.gid == attr.stx_gid || std::find(caller.groups.begin(), caller.groups.end(),
                                                     attr.stx_gid) != caller.groups.end()) {
    bits = (mode >> 3U) & 7U;
  }
  return (static_cast<unsigned>(want) & ~bits & 7U) == 0;
}

mode_t own_rights(Image& image, NodeId node, const Attr& attr, int of, const Credentials* as) {
  const uid_t uid = geteuid();
  gid_t groups[256];
  const int count = getgroups(256, groups);
  const Caller self{uid, getegid(), {groups, static_cast<size_t>(std::max(count, 0))}, 0, as};
  mode_t rights = 0;
  for (const int want : {R_OK, W_OK, X_OK}) {
    if ((of & want) != 0 && image_allows(image, node, attr, want, self))
      rights |= static_cast<mode_t>(want) << 6;
  }
  return rights;
}

/// Where files change, writing takes away the bits of set-id programs, as it should.
mode_t ImageStage::rights_of(NodeId node, const Attr& attr) const {
  if (!limits_.writable) return own_rights(image_, node, attr, R_OK | X_OK, host_.credentials());
  constexpr mode_t kKept = S_ISUID | S_ISGID | 0111;
  const bool runs = (attr.stx_mode & 0111) != 0;
  const mode_t uses =
      limits_.as_root ? 0600 : own_rights(image_, node, attr, R_OK | W_OK, host_.credentials());
  return (attr.stx_mode & kKept) | uses | (runs ? 0100 : 0);
}

Result<ImageStage::Root*> ImageStage::root(Where where) {
  Root& root = roots_[where];
  if (root.broken) return Errno(ENOSPC);
  if (root.fd) return &root;
  root.broken = true;
  TRY_ASSIGN(root.path, host_.scratch_dir("image", where == kMemory));
  root.fd.reset(::open(root.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.fd) return Errno::last();
  struct statvfs fs {};
  // Programs and libraries would not run from there. On disk there is no other place.
  const bool unusable =
      where == kMemory && ::fstatvfs(root.fd.get(), &fs) == 0 && (fs.f_flag & ST_NOEXEC) != 0;
  if (unusable) return Errno(EACCES);
  root.broken = false;
  return &root;
}

bool ImageStage::has_xattrs(NodeId node) {
  const auto known = xattrs_.find(node);
  if (known != xattrs_.end()) return known->second;
  const auto names = image_.listxattr(node);
  const bool any = names && std::any_of(names->begin(), names->end(), [](const std::string& name) {
                     return name.starts_with("user.");
                   });
  // A server may know of another one the next time.
  constexpr size_t kMost = 65536;
  if (xattrs_.size() >= kMost) xattrs_.clear();
  if (any || image_.own_meta()) xattrs_[node] = any;
  return any;
}

void ImageStage::set_xattrs(NodeId node, int fd) {
  const auto names = image_.listxattr(node);
  if (!names) return;
  for (const std::string& name : *names) {
    if (!name.starts_with("user.")) continue;
    const auto value = image_.getxattr(node, name);
    // A scratch directory without extended attributes shows none.
    if (value) (void)::fsetxattr(fd, name.c_str(), value->data(), value->size(), 0);
  }
}

Result<ImageStage::Where> ImageStage::place_of(NodeId node, const Attr& attr) {
  // Memory file systems have had user attributes only since Linux 6.6.
  const bool small = !limits_.writable && attr.stx_size <= limits_.small && !has_xattrs(node);
  if (small && root(kMemory)) return kMemory;
  TRY(root(kDisk));
  return kDisk;
}

Result<void> ImageStage::note(NodeId node, int dir, const char* name) {
  struct stat st {};
  if (::fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return Errno::last();
  by_inode_[{st.st_dev, st.st_ino}] = node;
  drop_ghost({st.st_dev, st.st_ino});
  if (marks_ != nullptr) marks_->mark(st.st_ino);
  return {};
}

Result<std::string> ImageStage::object(NodeId node, const Attr& attr, const NodePlace& place) {
  if (const auto known = objects_.find(node); known != objects_.end()) return known->second;
  struct stat st {};
  const std::string seat = S_ISDIR(attr.stx_mode) ? this->seat(place) : std::string();
  const bool seated = !seat.empty() && ::lstat(seat.c_str(), &st) == 0 && S_ISDIR(st.st_mode) &&
                      by_inode_.count({st.st_dev, st.st_ino}) == 0;
  if (seated) {
    TRY(note(node, AT_FDCWD, seat.c_str()));
    return objects_[node] = seat;
  }
  TRY_ASSIGN(const NodeLocks::Hold alone, hold_node(locks_, node));
  // It may have been made meanwhile.
  if (const auto known = objects_.find(node); known != objects_.end()) return known->second;
  const bool on_disk =
      (S_ISDIR(attr.stx_mode) && (limits_.writable || has_xattrs(node))) || !root(kMemory);
  Result<std::string> path = make_object(node, attr, on_disk ? kDisk : kMemory);
  if (!path && path.error() == ENOSPC && !on_disk) path = make_object(node, attr, kDisk);
  if (path) objects_[node] = *path;
  return path;
}

Result<std::string> ImageStage::bare_object(NodeId node, const Attr& attr) {
  if (const auto known = objects_.find(node); known != objects_.end()) return known->second;
  if (!S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
  TRY_ASSIGN(const Root* root, this->root(kDisk));
  const std::string name = base_of(node);
  TRY(from_libc(::mkdirat(root->fd.get(), name.c_str(), kUserMask)));
  TRY(note(node, root->fd.get(), name.c_str()));
  bare_.insert(node);
  return objects_[node] = root->path + "/" + name;
}

void ImageStage::complete_object(NodeId node) {
  if (bare_.erase(node) == 0) return;
  const std::string path = objects_[node];
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) set_xattrs(node, fd.get());
}

Result<std::string> ImageStage::make_object(NodeId node, const Attr& attr, Where where) {
  TRY_ASSIGN(Root * root, this->root(where));
  const int dir = root->fd.get();
  const std::string name = base_of(node);
  const bool directory = S_ISDIR(attr.stx_mode);
  int made = -1;
  if (directory) {
    made = ::mkdirat(dir, name.c_str(), kUserMask);
  } else if (S_ISLNK(attr.stx_mode)) {
    TRY_ASSIGN(const std::string target, image_.readlink(node));
    made = ::symlinkat(target.c_str(), dir, name.c_str());
  } else if (S_ISFIFO(attr.stx_mode) || S_ISSOCK(attr.stx_mode)) {
    made = ::mknodat(dir, name.c_str(), (attr.stx_mode & S_IFMT) | 0600, 0);
  } else {
    made = ::mknodat(dir, name.c_str(), S_IFREG, 0);
  }
  if (made < 0) return Errno::last();
  TRY(note(node, dir, name.c_str()));
  if (directory) {
    if (has_xattrs(node)) {
      const UniqueFd fd(::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (fd) set_xattrs(node, fd.get());
    }
    // Nothing is ever made in it.
    if (!limits_.writable) (void)::fchmodat(dir, name.c_str(), 0500, 0);
  }
  return root->path + "/" + name;
}

Result<std::string> ImageStage::content_path(NodeId node, const Attr& attr, std::string_view name) {
  const auto known = contents_.find(node);
  const bool there = known != contents_.end();
  Where where = kMemory;
  if (there) {
    where = known->second->where;
    name = known->second->name;
  } else {
    TRY_ASSIGN(where, place_of(node, attr));
  }
  std::string path = roots_[where].path + "/" + (there ? known->second->base : base_of(node));
  const bool named = there ? !name.empty() : is_program(attr);
  return named ? path + "/" + std::string(name) : path;
}

Result<std::string> ImageStage::xattr_object(NodeId node) {
  const bool own = has_xattrs(node);
  if (!own && !plain_.empty()) return plain_;
  const auto known = objects_.find(node);
  if (own && known != objects_.end()) return known->second;
  Where where = own || !root(kMemory) ? kDisk : kMemory;
  TRY_ASSIGN(Root * root, this->root(where));
  const std::string name = own ? "x" + std::to_string(node) : std::string("plain");
  const UniqueFd fd(::openat(root->fd.get(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return Errno::last();
  std::string path = root->path + "/" + name;
  if (own) {
    set_xattrs(node, fd.get());
    objects_[node] = path;
  } else {
    plain_ = path;
  }
  return path;
}

Result<std::string> ImageStage::content(NodeId node, const Attr& attr, const NodePlace& place,
                                        bool pin) {
  auto known = contents_.find(node);
  if (known == contents_.end()) {
    TRY_ASSIGN(const NodeLocks::Hold alone, hold_node(locks_, node));
    known = contents_.find(node);  // who had it may have made it
    if (known == contents_.end()) {
      TRY_ASSIGN(const Recent::iterator made, take_in(node, attr, place));
      known = contents_.emplace(node, made).first;
    }
  }
  recent_.splice(recent_.end(), recent_, known->second);
  Content& content = *known->second;
  content.used = now();
  content.pinned = content.pinned || pin;
  return content_path(node, attr, content.name);
}

Result<ImageStage::Recent::iterator> ImageStage::take_in(NodeId node, const Attr& attr,
                                                         const NodePlace& place) {
  TRY_ASSIGN(Where where, place_of(node, attr));
  make_room(where, attr.stx_blocks * 512);
  Result<Content> made = unpack(node, attr, place, where, false);
  if (!made && made.error() == ENOSPC) {
    make_room(where, UINT64_MAX / 2);
    if (where == kMemory && root(kDisk)) where = kDisk;
    made = unpack(node, attr, place, where, false);
  }
  if (!made) return made.error();
  recent_.push_back(std::move(*made));
  return std::prev(recent_.end());
}

Result<ImageStage::Content> ImageStage::unpack(NodeId node, const Attr& attr,
                                               const NodePlace& place, Where where, bool empty) {
  TRY_ASSIGN(Root * root, this->root(where));
  const int dir = root->fd.get();
  Content content;
  content.node = node;
  content.where = where;
  content.base = base_of(node);
  if (is_program(attr)) content.name = place.name;
  const bool folder = !content.name.empty();
  if (folder) TRY(from_libc(::mkdirat(dir, content.base.c_str(), kUserMask)));
  const std::string path = relative(content);
  UniqueFd fd = adopt(node, place, dir, path.c_str());
  if (!fd) fd.reset(::openat(dir, path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const Result<void> done =
      fd ? fill(node, attr, std::move(fd), &content, empty) : Result<void>(Errno::last());
  if (!done) {
    (void)::unlinkat(dir, path.c_str(), 0);
    if (folder) (void)::unlinkat(dir, content.base.c_str(), AT_REMOVEDIR);
    return done.error();
  }
  root->bytes += content.bytes;
  by_inode_[{content.dev, content.ino}] = node;
  drop_ghost({content.dev, content.ino});
  if (marks_ != nullptr) marks_->mark(content.ino);
  return content;
}

Result<void> ImageStage::fill(NodeId node, const Attr& attr, UniqueFd fd, Content* content,
                              bool empty) {
  if (!empty) TRY(image_.extract(node, fd.get()));
  if (has_xattrs(node)) set_xattrs(node, fd.get());
  // Who makes a file has it open, whatever its permissions are.
  const mode_t rights = rights_of(node, attr) | (empty ? 0600 : 0);
  struct stat st {};
  TRY(from_libc(::fstat(fd.get(), &st)));
  if ((st.st_mode & 07777) != rights) TRY(from_libc(::fchmod(fd.get(), rights)));
  content->bytes = static_cast<uint64_t>(st.st_blocks) * 512;
  content->dev = st.st_dev;
  content->ino = st.st_ino;
  return {};
}

/// Drops contents until there is room for more, as far as they may go.
void ImageStage::make_room(Where where, uint64_t bytes) {
  const uint64_t limit = where == kMemory ? limits_.in_memory : limits_.on_disk;
  const int64_t present = now();
  const size_t count = recent_.size();
  for (size_t i = 0; i < count && !recent_.empty(); ++i) {
    if (roots_[where].bytes == 0 || roots_[where].bytes + bytes <= limit) return;
    const auto oldest = recent_.begin();
    if (oldest->used > present - limits_.grace_ns) return;  // as are all others
    const bool stays = oldest->pinned || oldest->unsaved;
    if (oldest->where == where && !stays && drop(oldest)) continue;
    // It stays: there is no need to look at it again soon.
    oldest->used = present;
    recent_.splice(recent_.end(), recent_, oldest);
  }
}

/// A lease on writing is given only where nobody has the file open or mapped. fcntl(2)
bool ImageStage::is_open(int dir, const char* name, mode_t mode) {
  if ((mode & 0400) == 0) (void)::fchmodat(dir, name, mode | 0400, 0);
  const UniqueFd fd(::openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if ((mode & 0400) == 0) (void)::fchmodat(dir, name, mode, 0);
  // Whoever opens it just now waits until this is closed, and lets the engine know by a signal: by
  // one that nobody dies of.
  return !fd || ::fcntl(fd.get(), F_SETSIG, SIGURG) < 0 ||
         ::fcntl(fd.get(), F_SETLEASE, F_WRLCK) < 0;
}

bool ImageStage::drop(Recent::iterator content) {
  const int dir = roots_[content->where].fd.get();
  const std::string path = relative(*content);
  struct stat st {};
  if (::fstatat(dir, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return false;
  if (is_open(dir, path.c_str(), st.st_mode & 0700)) return false;
  if (st.st_nlink > 1) empty_links(dir, path.c_str());
  if (removed_) removed_(content->dev, content->ino);
  if (::unlinkat(dir, path.c_str(), 0) < 0) return false;
  erase(content);
  return true;
}

/// The file itself is gone.
void ImageStage::erase(Recent::iterator content) {
  Root& root = roots_[content->where];
  if (!content->name.empty()) (void)::unlinkat(root.fd.get(), content->base.c_str(), AT_REMOVEDIR);
  root.bytes -= std::min(root.bytes, content->bytes);
  by_inode_.erase({content->dev, content->ino});
  contents_.erase(content->node);
  recent_.erase(content);
}

std::string ImageStage::relative(const Content& content) {
  return content.name.empty() ? content.base : content.base + "/" + content.name;
}

std::string ImageStage::host_path(const Content& content) const {
  return roots_[content.where].path + "/" + relative(content);
}

std::string ImageStage::base_of(NodeId node) const {
  const auto left = generations_.find(node);
  const std::string number = std::to_string(node);
  return left == generations_.end() ? number : number + "." + std::to_string(left->second);
}

std::optional<NodeId> ImageStage::node_at(const std::string& host) const {
  for (const Root& root : roots_) {
    if (root.path.empty() || !host.starts_with(root.path + "/")) continue;
    const char* begin = host.data() + root.path.size() + 1;
    const char* end = host.data() + host.size();
    NodeId node = 0;
    const auto [stop, error] = std::from_chars(begin, end, node);
    if (error != std::errc()) return std::nullopt;
    const auto object = objects_.find(node);
    if (object != objects_.end() && object->second == host) return node;
    const auto content = contents_.find(node);
    if (content != contents_.end() && host_path(*content->second) == host) return node;
    struct stat st {};
    if (watched_.empty() || stop == end || ::lstat(host.c_str(), &st) < 0) return std::nullopt;
    const auto seated = by_inode_.find({st.st_dev, st.st_ino});
    return seated == by_inode_.end() ? std::nullopt : std::optional<NodeId>(seated->second);
  }
  return std::nullopt;
}

std::optional<NodeId> ImageStage::node_of(const Attr& native) const {
  if (by_inode_.empty()) return std::nullopt;
  const uint64_t dev = makedev(native.stx_dev_major, native.stx_dev_minor);
  const auto found = by_inode_.find({dev, native.stx_ino});
  if (found == by_inode_.end()) return std::nullopt;
  return found->second;
}

void ImageStage::mark_attr(AttrMarks* marks) {
  marks_ = marks;
  for (const auto& [inode, node] : by_inode_) marks->mark(inode.ino);
}

}  // namespace viewsh
