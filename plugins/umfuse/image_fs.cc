#include "image_fs.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <climits>

namespace viewsh {
namespace {

std::string_view next_component(std::string_view* rest) {
  const size_t end = std::min(rest->find('/'), rest->size());
  const std::string_view name = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return name;
}

std::string join(std::string_view a, std::string_view b) {
  std::string out(a);
  if (!a.empty() && !b.empty()) out += '/';
  return out.append(b);
}

/// What an open asks of a node's permissions. open(2)
int access_wanted(int flags) {
  constexpr int kAccess[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};
  return kAccess[flags & O_ACCMODE];
}

/// A file without a name that is still open: content and permissions are the host's.
Attr after_life(const ImageStage::Ghost& ghost, const Attr& native) {
  Attr attr = ghost.attr;
  if (ghost.bare) return attr;
  attr.stx_mode = native.stx_mode;
  attr.stx_size = native.stx_size;
  attr.stx_blocks = native.stx_blocks;
  attr.stx_mtime = native.stx_mtime;
  attr.stx_ctime = native.stx_ctime;
  return attr;
}

}  // namespace

Result<Attr> ImageFs::attr_of(NodeId node, bool open) const {
  TRY_ASSIGN(Attr attr, open ? image().getattr_open(node) : image().getattr(node));
  attr.stx_dev_major = 0;
  attr.stx_dev_minor = mounted_->minor;
  attr.stx_mask |= kOwnOwners;
  if (mounted_->pending != nullptr) mounted_->pending->overlay(node, &attr);
  return attr;
}

bool ImageFs::is_nameless(NodeId node) const {
  return mounted_->nameless.count(node) != 0 ||
         (stage().has_content(node) && mounted_->places.of(node) == nullptr);
}

std::optional<NodeId> ImageFs::nameless_at(std::string_view path) const {
  if (mounted_->pending == nullptr || !path.starts_with('#')) return std::nullopt;
  NodeId node = 0;
  const char* end = path.data() + path.size();
  const auto [stop, error] = std::from_chars(path.data() + 1, end, node);
  const bool known = error == std::errc() && stop == end && is_nameless(node);
  return known ? std::optional<NodeId>(node) : std::nullopt;
}

Result<ImageFs::Node> ImageFs::find(std::string_view path) {
  if (const auto nameless = nameless_at(path)) return Node{*nameless, {}};
  Node node{root_, {}};
  if (const Place* known = mounted_->places.of(root_)) node.place = *known;
  while (!path.empty()) {
    remember(node);
    const std::string_view name = next_component(&path);
    TRY_ASSIGN(const NodeId next, image().lookup(node.id, name));
    node.place = {node.id, std::string(name)};
    node.id = next;
  }
  return node;
}

Result<NodeGates::Hold> ImageFs::hold_life(NodeId node, bool shares) const {
  TRY_ASSIGN(NodeGates::Hold life, gate(node, NodeGates::kLife, shares));
  if (!image().knows(node)) return Errno(ESTALE);
  return life;
}

Result<ImageFs::Use> ImageFs::hold_use(NodeId node, bool shares) const {
  Use held;
  TRY_ASSIGN(held.life, hold_life(node, true));
  TRY_ASSIGN(held.use, gate(node, NodeGates::kUse, shares));
  return held;
}

void ImageFs::remember(const Node& node) {
  if (node.place.parent != 0) mounted_->places.add(node.id, node.place);
}

Result<Found> ImageFs::found(const Node& node, const Attr& attr) {
  Found found;
  found.type = type_of_mode(attr.stx_mode);
  found.exists = true;
  found.attr_virtual = true;
  found.list_virtual = found.type == NodeType::kDirectory;
  TRY_ASSIGN(const NodeGates::Hold life, hold_life(node.id, true));
  if (found.type == NodeType::kRegular) {
    found.deferred = true;
    TRY_ASSIGN(found.host, stage().content_path(node.id, attr, node.place.name));
    TRY_ASSIGN(found.meta_host, stage().xattr_object(node.id));
  } else {
    remember(node);
    TRY_ASSIGN(found.host, stage().object(node.id, attr, node.place));
  }
  return found;
}

Result<Found> ImageFs::resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                               const Caller& caller) {
  const auto nameless = base.empty() ? nameless_at(rest) : std::nullopt;
  TRY_ASSIGN(Node node, find(nameless ? rest : base));
  TRY_ASSIGN(Attr attr, attr_of(node.id));
  std::string_view left = nameless ? "" : rest;
  while (!left.empty()) {
    if (!S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
    if (!allows(node.id, attr, X_OK, caller)) return Errno(EACCES);
    remember(node);
    const std::string_view name = next_component(&left);
    const size_t consumed = left.empty() ? rest.size() : rest.size() - left.size() - 1;
    if (name.size() > NAME_MAX) return Errno(ENAMETOOLONG);
    const Result<NodeId> next = image().lookup(node.id, name);
    if (!next) {
      if (!(next.error() == ENOENT) || !left.empty()) return next.error();
      Found missing;
      missing.kind = Found::Kind::kMissing;
      missing.consumed = consumed;
      return missing;
    }
    node = {*next, {node.id, std::string(name)}};
    TRY_ASSIGN(attr, attr_of(node.id));
    if (S_ISLNK(attr.stx_mode) && (!left.empty() || flags.follow_last)) {
      Found link;
      link.kind = Found::Kind::kLink;
      link.type = NodeType::kSymlink;
      link.exists = true;
      link.consumed = consumed;
      TRY_ASSIGN(link.target, image().readlink(node.id));
      return link;
    }
  }
  TRY_ASSIGN(Found end, found(node, attr));
  end.consumed = rest.size();
  return end;
}

Result<Attr> ImageFs::getattr(const std::string& path) {
  TRY_ASSIGN(const Node node, find(path));
  return attr_of(node.id);
}

Result<std::vector<DirEntry>> ImageFs::list(const std::string& path) {
  TRY_ASSIGN(const Node node, find(path));
  return image().list(node.id);
}

std::optional<std::string> ImageFs::reverse(const std::string& host) {
  const std::optional<NodeId> found = stage().node_at(host);
  const ImageStage::Ghost* ghost = found ? nullptr : stage().ghost_at(host);
  if (ghost != nullptr && ghost->root == root_) return ghost->path;
  if (!found) return std::nullopt;
  if (mounted_->pending != nullptr && is_nameless(*found)) return "#" + std::to_string(*found);
  std::string path;
  const auto& places = mounted_->places;
  for (NodeId node = *found; node != root_;) {
    const Place* place = places.of(node);
    if (place == nullptr) return std::nullopt;
    path = join(place->name, path);
    node = place->parent;
  }
  return path;
}

bool ImageFs::fix_attr(Attr* attr) {
  const std::optional<NodeId> node = stage().node_of(*attr);
  const ImageStage::Ghost* ghost = node ? nullptr : stage().ghost_of(*attr);
  if (!node && ghost == nullptr) return false;
  const Result<Attr> shown = node ? attr_of(*node, true) : after_life(*ghost, *attr);
  if (!shown) return false;
  const uint64_t mount = attr->stx_mnt_id;
  const uint32_t mount_known = attr->stx_mask & STATX_MNT_ID;
  *attr = *shown;
  attr->stx_mnt_id = mount;
  attr->stx_mask |= mount_known;
  return true;
}

/// may_open() of fs/namei.c, on a file system that is read-only and mounted with nodev.
Result<OpenPlan> ImageFs::plan_open(const std::string& path, const OpenHow& how,
                                    const Caller& caller) {
  const bool is_path = (how.flags & O_PATH) != 0;
  const bool creates = !is_path && (how.flags & O_CREAT) != 0;
  if (!is_path && (how.flags & O_TMPFILE) == O_TMPFILE) return Errno(EROFS);
  const Result<Node> node = find(path);
  if (!node) return creates && node.error() == ENOENT ? Errno(EROFS) : node.error();
  if (creates && (how.flags & O_EXCL) != 0) return Errno(EEXIST);
  TRY_ASSIGN(const Attr attr, attr_of(node->id));
  if ((how.flags & O_DIRECTORY) != 0 && !S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
  TRY_ASSIGN(const Use use, hold_use(node->id, true));
  return plan_node(*node, attr, how, caller);
}

Result<OpenPlan> ImageFs::plan_node(const Node& node, const Attr& attr, const OpenHow& how,
                                    const Caller& caller) {
  const bool is_path = (how.flags & O_PATH) != 0;
  const NodeType type = type_of_mode(attr.stx_mode);
  if (!is_path) {
    const int wanted = access_wanted(how.flags);
    const bool writes = (wanted & W_OK) != 0 || (how.flags & O_TRUNC) != 0;
    if (type == NodeType::kSymlink) return Errno(ELOOP);
    if (type == NodeType::kDirectory && (writes || (how.flags & O_CREAT) != 0))
      return Errno(EISDIR);
    if (type == NodeType::kChar || type == NodeType::kBlock) return Errno(EACCES);
    if (type == NodeType::kRegular && writes) return Errno(EROFS);
    if (!allows(node.id, attr, wanted, caller)) return Errno(EACCES);
    const uid_t uid = caller.in_view().uid;
    const bool owner = uid == 0 || uid == attr.stx_uid;
    if ((how.flags & O_NOATIME) != 0 && !owner) return Errno(EPERM);
  }
  remember(node);
  OpenPlan plan;
  plan.flags = how.flags & ~(O_CREAT | O_EXCL | O_TRUNC);
  plan.mode = how.mode;
  if (type == NodeType::kRegular) {
    if (!is_path) TRY(opens(node.id, how.flags));
    // What is open by O_PATH alone isn't seen as open, and can be opened through /proc later.
    TRY_ASSIGN(plan.host, stage().content(node.id, attr, node.place, is_path));
  } else {
    TRY_ASSIGN(plan.host, stage().object(node.id, attr, node.place));
  }
  return plan;
}

/// filename_create() of fs/namei.c finds the name before it asks whether it may write.
Result<void> ImageFs::refuse_new(const std::string& path) {
  return find(path) ? Errno(EEXIST) : Errno(EROFS);
}

/// vfs_truncate() of fs/open.c: the type first.
Result<void> ImageFs::setattr(const std::string& path, const SetAttr& set, const Caller&) {
  TRY_ASSIGN(const Attr attr, getattr(path));
  if (set.size && S_ISDIR(attr.stx_mode)) return Errno(EISDIR);
  if (set.size && !S_ISREG(attr.stx_mode)) return Errno(EINVAL);
  return Errno(EROFS);
}

Result<struct statfs> ImageFs::statfs(const std::string&) {
  constexpr long kValid = 0x20;  // ST_VALID: f_flags are filled in. include/linux/statfs.h
  TRY_ASSIGN(struct statfs out, image().statfs());
  out.f_flags = kValid | ST_RDONLY | ST_NOSUID | ST_NODEV;
  out.f_fsid.__val[0] = static_cast<int>(mounted_->minor);
  return out;
}

Result<std::shared_ptr<FileSystem>> ImageFs::subtree(const std::string& path) {
  TRY_ASSIGN(const Node node, find(path));
  remember(node);
  return std::shared_ptr<FileSystem>(std::make_shared<ImageFs>(mounted_, node.id));
}

Result<std::string> ImageFs::watch(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  // inotify_add_watch(2)
  if (!allows(node.id, attr, R_OK, caller)) return Errno(EACCES);
  TRY_ASSIGN(const Use use, hold_use(node.id, true));
  remember(node);
  if (!S_ISREG(attr.stx_mode)) return stage().object(node.id, attr, node.place);
  return stage().content(node.id, attr, node.place, true);
}

}  // namespace viewsh
