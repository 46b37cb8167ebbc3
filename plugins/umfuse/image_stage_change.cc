// What an image that can be written asks of its stage.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "image_stage.h"

namespace viewsh {
const ImageStage::Content* ImageStage::content_of(NodeId node) const {
  const auto known = contents_.find(node);
  return known == contents_.end() ? nullptr : &*known->second;
}

Result<std::string> ImageStage::empty_content(NodeId node, const Attr& attr,
                                              std::string_view name) {
  TRY_ASSIGN(const Where where, place_of(node, attr));
  make_room(where, 0);
  TRY_ASSIGN(Content empty, unpack(node, attr, name, where, true));
  recent_.push_back(std::move(empty));
  contents_.emplace(node, std::prev(recent_.end()));
  return content(node, attr, name, false);
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

Result<std::string> ImageStage::nameless_directory() {
  TRY_ASSIGN(const Root* root, this->root(kDisk));
  return root->path;
}

Result<void> ImageStage::adopt(NodeId node, const Attr& attr, std::string_view name,
                               const std::string& host_fd) {
  TRY_ASSIGN(const Root* root, this->root(kDisk));
  const std::string number = std::to_string(node);
  TRY(from_libc(
      ::linkat(AT_FDCWD, host_fd.c_str(), root->fd.get(), number.c_str(), AT_SYMLINK_FOLLOW)));
  TRY(note(node, root->fd.get(), number.c_str()));
  Content content;
  content.node = node;
  content.where = kDisk;
  content.base = number;
  struct stat st {};
  TRY(from_libc(::fstatat(root->fd.get(), number.c_str(), &st, AT_SYMLINK_NOFOLLOW)));
  content.dev = st.st_dev;
  content.ino = st.st_ino;
  recent_.push_back(std::move(content));
  contents_.emplace(node, std::prev(recent_.end()));
  return renamed(node, attr, name);
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
  UniqueFd fd(::openat(roots_[content->where].fd.get(), relative(*content).c_str(),
                       flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return Errno::last();
  return fd;
}

/// fcntl(2): a lease on reading is given where nobody can write, one on writing where nobody has
/// the file at all. Whoever opens it meanwhile waits until it is given back, a moment later.
bool ImageStage::lease_granted(NodeId node, int type) const {
  const auto fd = open_content(node, O_RDONLY);
  return fd && ::fcntl(fd->get(), F_SETSIG, SIGURG) == 0 &&
         ::fcntl(fd->get(), F_SETLEASE, type) == 0;
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

Result<void> ImageStage::renamed(NodeId node, const Attr& attr, std::string_view name) {
  const auto known = contents_.find(node);
  if (known == contents_.end()) return {};
  Content& content = *known->second;
  const int dir = roots_[content.where].fd.get();
  const bool program = (attr.stx_mode & 0111) != 0;
  const std::string number = content.base;
  const std::string before = relative(content);
  if (program && content.name.empty()) {
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
  return from_libc(::fchmodat(dir, relative(content).c_str(), rights_of(attr), 0));
}

/// Others than a user's can't be shown by an object of an ordinary user's.
void ImageStage::xattr_changed(NodeId node, const std::string& name, const std::string* value) {
  xattrs_.erase(node);
  if (!name.starts_with("user.")) return;
  // Where the scratch directory takes none, none is shown.
  const auto change = [&](const char* path) {
    if (value != nullptr) {
      (void)::lsetxattr(path, name.c_str(), value->data(), value->size(), 0);
    } else {
      (void)::lremovexattr(path, name.c_str());
    }
  };
  const auto object = objects_.find(node);
  if (object != objects_.end()) change(object->second.c_str());
  const Content* content = content_of(node);
  if (content != nullptr) change(host_path(*content).c_str());
}

void ImageStage::forget(NodeId node, const Ghost* last) {
  const auto content = contents_.find(node);
  if (content != contents_.end()) forget_content(content->second, last);
  const auto object = objects_.find(node);
  if (object != objects_.end()) {
    const char* path = object->second.c_str();
    struct stat st {};
    if (::lstat(path, &st) == 0) {
      by_inode_.erase({st.st_dev, st.st_ino});
      (void)::unlinkat(AT_FDCWD, path, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
    }
    objects_.erase(object);
    ++generations_[node];
  }
  xattrs_.erase(node);
}

void ImageStage::forget_content(Recent::iterator content, const Ghost* last) {
  const std::string host = host_path(*content);
  if (last != nullptr) {
    const InodeKey key{content->dev, content->ino};
    Ghost& ghost = ghosts_[key];
    ghost_paths_.erase(ghost.host);
    ghost = *last;
    ghost.host = host;
    ghost_paths_[host] = key;
    // From now on it is the kernel's alone, with permissions and all.
    (void)::chmod(host.c_str(), last->attr.stx_mode & 07777);
  }
  ++generations_[content->node];
  if (opening_.count(host) != 0) {
    leaving_[host] = content->where;
  } else {
    (void)::unlink(host.c_str());
  }
  erase(content);
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
