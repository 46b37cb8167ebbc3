// Directories of an image that are watched. inotify(7)
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>

#include "image_stage.h"
#include "remove_name.h"

namespace viewsh {
namespace {

constexpr mode_t kUserMask = 0700;

bool look(const std::string& path, struct stat* st) { return ::lstat(path.c_str(), st) == 0; }

/// Changes nothing but the time of change, and so tells of what notify_change() of fs/attr.c would
/// tell of such a change. An object that can't be changed even so is somebody else's by now.
void tell_of(const std::string& path, const SetAttr& set) {
  struct stat st {};
  if (!look(path, &st)) return;
  const bool one_time = set.atime.has_value() != set.mtime.has_value();
  if (set.size) {
    (void)::truncate(path.c_str(), st.st_size);
  } else if (one_time && !set.mode && !set.uid && !set.gid) {
    timespec same[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    (set.atime ? same[0] : same[1]) = set.atime ? st.st_atim : st.st_mtim;
    (void)::utimensat(AT_FDCWD, path.c_str(), same, AT_SYMLINK_NOFOLLOW);
  } else if (!S_ISLNK(st.st_mode)) {
    (void)::chmod(path.c_str(), st.st_mode & 07777);
  }
}

/// A name where another may stand, which goes.
bool move_name(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  return remove_name(to) && ::rename(from.c_str(), to.c_str()) == 0;
}

}  // namespace

bool remove_name(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || ::rmdir(path.c_str()) == 0) return true;
  if (errno != ENOTEMPTY) return false;
  DIR* list = ::opendir(path.c_str());
  if (list == nullptr) return false;
  while (const dirent* entry = ::readdir(list)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") (void)remove_name(path + "/" + name);
  }
  ::closedir(list);
  return ::rmdir(path.c_str()) == 0;
}

std::string ImageStage::seat(const NodePlace& place) const {
  if (place.name.empty() || watched_.count(place.parent) == 0) return {};
  const auto directory = objects_.find(place.parent);
  return directory == objects_.end() ? std::string() : directory->second + "/" + place.name;
}

bool ImageStage::is_content(NodeId node, const std::string& path) const {
  const Content* content = content_of(node);
  struct stat st {};
  return content != nullptr && look(path, &st) && st.st_ino == content->ino &&
         st.st_dev == content->dev;
}

/// To another name, with its own one as well: where that can't be had, it stays where it was.
bool ImageStage::move_content(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) < 0) return false;
  if (::link(to.c_str(), from.c_str()) == 0) return true;
  const int failed = errno;
  (void)::rename(to.c_str(), from.c_str());
  errno = failed;
  return false;
}

/// Where the node's object is called what the image calls it.
bool ImageStage::is_seated(NodeId node, const std::string& seat) const {
  const auto object = objects_.find(node);
  return (object != objects_.end() && object->second == seat) || is_content(node, seat);
}

/// Whoever has a content open from before is heard of under its new name, too.
bool ImageStage::bring_content(NodeId node, const std::string& to) {
  const std::string from = host_path(*content_of(node));
  if (opening(node)) return ::link(from.c_str(), to.c_str()) == 0;
  return move_content(from, to);
}

bool ImageStage::make_seat(const Name& name, const std::string& path) {
  if (name.directory) {
    const auto object = objects_.find(name.node);
    const bool moves = object != objects_.end() && heard_.count(name.node) == 0;
    if (!moves) return ::mkdir(path.c_str(), kUserMask) == 0;
    const std::string from = object->second;
    if (::rename(from.c_str(), path.c_str()) < 0) return false;
    relocate(from, path);
    return true;
  }
  if (const Content* content = content_of(name.node); content != nullptr)
    return ::link(host_path(*content).c_str(), path.c_str()) == 0;
  const auto anchor = anchors_.find(name.node);
  if (anchor != anchors_.end()) return ::link(anchor->second.c_str(), path.c_str()) == 0;
  if (::mknod(path.c_str(), S_IFREG | 0600, 0) < 0) return false;
  return !name.linked || make_anchor(name.node, path);
}

/// The names of a node are links of one file before there is a content.
bool ImageStage::make_anchor(NodeId node, const std::string& path) {
  const std::string anchor = roots_[kDisk].path + "/l" + std::to_string(node);
  if (::link(path.c_str(), anchor.c_str()) < 0) return false;
  anchors_[node] = anchor;
  return true;
}

Result<void> ImageStage::watch(NodeId directory, const std::vector<Name>& names) {
  const auto own = objects_.find(directory);
  if (own == objects_.end()) return Errno(ESTALE);
  if (!watched_.insert(directory).second) return {};
  const std::string path = own->second;
  for (const Name& name : names) {
    const std::string seat = path + "/" + name.place.name;
    const bool open = !name.directory && content_of(name.node) != nullptr && in_use(name.node);
    if (open ? bring_content(name.node, seat) : make_seat(name, seat)) continue;
    const Errno failed = Errno::last();
    watched_.erase(directory);
    for (const Name& made : names) {
      const auto object = objects_.find(made.node);
      const std::string there = path + "/" + made.place.name;
      const bool stays = object != objects_.end() && object->second == there;
      if (stays) {
        leave_seat(made.node, there);
      } else {
        (void)remove_name(there);
      }
    }
    return failed;
  }
  return {};
}

/// The object of a directory gets a place of its own.
void ImageStage::leave_seat(NodeId node, const std::string& seat) {
  ++generations_[node];
  const std::string own = roots_[kDisk].path + "/" + base_of(node);
  if (::rename(seat.c_str(), own.c_str()) == 0) relocate(seat, own);
}

void ImageStage::relocate(const std::string& from, const std::string& to) {
  for (auto& [node, path] : objects_) {
    if (path == from || path.starts_with(from + "/")) path = to + path.substr(from.size());
  }
}

std::string ImageStage::seat_of(const Name& name) {
  std::string path = seat(name.place);
  struct stat st {};
  // A name that a server made by itself: it is told of now.
  if (!path.empty() && !look(path, &st)) (void)make_seat(name, path);
  return path;
}

void ImageStage::added(const Name& name, const NodePlace& twin) {
  const std::string path = seat(name.place);
  if (path.empty()) return count_changed(name.node);
  // A server may have made it by itself before.
  (void)remove_name(path);
  const std::string other = seat(twin);
  struct stat st {};
  const bool first = !other.empty() && look(other, &st) && content_of(name.node) == nullptr &&
                     anchors_.count(name.node) == 0;
  if (first) (void)make_anchor(name.node, other);
  // Where there is no room for an empty file, none can be opened either: that is told by open(2).
  (void)make_seat(name, path);
}

void ImageStage::removed(const Name& name) {
  const std::string path = seat_of(name);
  if (path.empty()) return count_changed(name.node);
  (void)remove_name(path);
}

/// fsnotify_link_count() of include/linux/fsnotify.h.
void ImageStage::count_changed(NodeId node) {
  SetAttr any;
  any.mode = 0;
  if (heard_.count(node) != 0) changed(node, {}, any);
}

void ImageStage::moved(const Name& name, const NodePlace& to, const Name* exchanged) {
  if (watched_.empty() && heard_.empty()) return;
  const std::string before = seat(name.place);
  const std::string after = seat(to);
  if (exchanged != nullptr && !before.empty() && !after.empty()) return swap(name, *exchanged);
  if (before.empty() && after.empty()) {
    move_self(name.node);
  } else {
    const auto object = objects_.find(name.node);
    const bool apart = object != objects_.end() && object->second != before && !before.empty();
    if (before.empty()) {
      move_in(name, after);
    } else if (after.empty()) {
      move_out(name);
    } else if (const std::string from = seat_of(name); move_name(from, after)) {
      relocate(from, after);
    }
    if (apart && name.directory) move_self(name.node);
  }
  // As two renames: the other one went first as far as the kernel can tell.
  if (exchanged != nullptr) moved({to, exchanged->node, exchanged->directory}, name.place, nullptr);
}

void ImageStage::swap(const Name& name, const Name& other) {
  const std::string a = seat_of(name);
  const std::string b = seat_of(other);
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) < 0) return;
  const std::string aside = roots_[kDisk].path + "/aside";  // nothing is ever there
  relocate(a, aside);
  relocate(b, a);
  relocate(aside, b);
}

std::string ImageStage::aside(NodeId node) const {
  return roots_[kDisk].path + "/" + base_of(node) + ".moves";
}

/// Into a directory that is watched, from one that isn't.
void ImageStage::move_in(const Name& name, const std::string& to) {
  const auto object = objects_.find(name.node);
  if (name.directory && object != objects_.end()) {
    const std::string from = object->second;
    if (move_name(from, to)) relocate(from, to);
    return;
  }
  const Content* content = content_of(name.node);
  if (content != nullptr && !opening(name.node)) {
    (void)remove_name(to);
    (void)move_content(host_path(*content), to);
    return;
  }
  const std::string from = aside(name.node);
  if (make_seat(name, from)) (void)move_name(from, to);
}

void ImageStage::move_out(const Name& name) {
  const std::string from = seat_of(name);
  const auto object = objects_.find(name.node);
  if (name.directory && object != objects_.end() && object->second == from)
    return leave_seat(name.node, from);
  const Content* content = content_of(name.node);
  const bool own = content != nullptr && !opening(name.node) && is_content(name.node, from);
  const std::string to = own ? host_path(*content) : aside(name.node);
  // Two links of one file aren't renamed over each other. rename(2)
  if (own) (void)::unlink(to.c_str());
  const bool moved = move_name(from, to);
  if (moved && !own) (void)remove_name(to);
  if (!moved && own) (void)::link(from.c_str(), to.c_str());
}

/// IN_MOVE_SELF of what is watched itself, where the name doesn't matter to anybody.
void ImageStage::move_self(NodeId node) {
  if (heard_.count(node) == 0) return;
  const std::string path = own_path(node);
  if (path.empty()) return;
  const std::string other = aside(node);
  const bool linked = opening(node);
  if (linked && ::link(path.c_str(), other.c_str()) < 0) return;
  if (!linked && ::rename(path.c_str(), other.c_str()) == 0) {
    (void)::rename(other.c_str(), path.c_str());
  } else if (linked) {
    const std::string again = other + ".again";
    (void)::rename(other.c_str(), again.c_str());
    (void)::unlink(again.c_str());
  }
}

std::string ImageStage::own_path(NodeId node) const {
  if (const Content* content = content_of(node); content != nullptr) return host_path(*content);
  const auto object = objects_.find(node);
  return object == objects_.end() ? std::string() : object->second;
}

void ImageStage::changed(NodeId node, const NodePlace& place, const SetAttr& set) {
  if (watched_.empty() && heard_.empty()) return;
  const std::string path = seat(place);
  if (!path.empty()) tell_of(path, set);
  const bool itself = !path.empty() && is_seated(node, path);
  if (heard_.count(node) != 0 && !itself) tell_of(own_path(node), set);
}

bool ImageStage::truncate(NodeId node, const NodePlace& place, uint64_t size) {
  const std::string path = seat(place);
  return !path.empty() && is_content(node, path) &&
         ::truncate(path.c_str(), static_cast<off_t>(size)) == 0;
}

void ImageStage::lead(NodeId node, const NodePlace& place, OpenPlan* plan) {
  const std::string path = seat(place);
  if (path.empty() || content_of(node) == nullptr) return;
  struct stat st {};
  if (!look(path, &st)) (void)make_seat({place, node}, path);
  if (!is_content(node, path)) return;
  UniqueFd fd(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return;
  const std::string link =
      "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd.get());
  leads_[link] = {plan->host, std::move(fd)};
  plan->host = link;
  plan->shown = path;
  plan->flags &= ~O_NOFOLLOW;
}

const std::string& ImageStage::led(const std::string& host) const {
  const auto known = leads_.find(host);
  return known == leads_.end() ? host : known->second.host;
}

std::string ImageStage::end_lead(const std::string& host) {
  const auto known = leads_.find(host);
  if (known == leads_.end()) return host;
  std::string own = std::move(known->second.host);
  leads_.erase(known);
  return own;
}

/// The file that stands for a node in a directory becomes its content, unless it is another's
/// still, as it is where a server gave the name to another node.
UniqueFd ImageStage::adopt(NodeId node, const NodePlace& place, int dir, const char* name) {
  const auto anchor = anchors_.find(node);
  const std::string from = anchor == anchors_.end() ? seat(place) : anchor->second;
  struct stat st {};
  if (from.empty() || !look(from, &st) || !S_ISREG(st.st_mode)) return {};
  const InodeKey key{st.st_dev, st.st_ino};
  if (by_inode_.count(key) != 0 || ghosts_.count(key) != 0) return {};
  if (::linkat(AT_FDCWD, from.c_str(), dir, name, 0) < 0) return {};
  UniqueFd fd;
  if (::fchmodat(dir, name, 0600, 0) == 0)
    fd.reset(::openat(dir, name, O_RDWR | O_TRUNC | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) (void)::unlinkat(dir, name, 0);
  return fd;
}

/// Of a content that goes: what stands for it in a directory takes no room.
void ImageStage::empty_links(int dir, const char* name) {
  if (::fchmodat(dir, name, 0600, 0) < 0) return;
  const UniqueFd fd(::openat(dir, name, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW));
}

void ImageStage::unwatch(NodeId node) {
  watched_.erase(node);
  heard_.erase(node);
  const auto anchor = anchors_.find(node);
  if (anchor == anchors_.end()) return;
  (void)::unlink(anchor->second.c_str());
  anchors_.erase(anchor);
}

std::vector<NodeId> ImageStage::staged() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, path] : objects_) nodes.push_back(node);
  for (const auto& [node, content] : contents_) nodes.push_back(node);
  return nodes;
}

}  // namespace viewsh
