// Opening and attributes of an image that can be changed. fs/namei.c, fs/attr.c, fs/xattr.c.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include <algorithm>

#include "image_rights.h"
#include "writable_fs.h"

namespace viewsh {
namespace {

int rights_needed(int flags) {
  constexpr int kAccess[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};
  return kAccess[flags & O_ACCMODE] | ((flags & O_TRUNC) != 0 ? W_OK : 0);
}

/// Permissions after a change of content or owner. setattr_should_drop_suidgid() of fs/attr.c.
mode_t without_set_id(mode_t mode) {
  mode &= 07777U & ~static_cast<mode_t>(S_ISUID);
  return (mode & S_IXGRP) != 0 ? mode & ~static_cast<mode_t>(S_ISGID) : mode;
}

bool wants_no_name(int flags) { return (flags & O_TMPFILE) == O_TMPFILE; }

}  // namespace

OpenPlan WritableImageFs::plan_for(NodeId node, std::string host, const OpenHow& how) {
  OpenPlan plan;
  plan.host = std::move(host);
  plan.flags = how.flags & ~(O_CREAT | O_EXCL);
  plan.mode = how.mode;
  plan.notify = true;
  stage().opens(plan.host);
  if ((rights_needed(how.flags) & W_OK) != 0) {
    pending().begin(node, {.maps = (how.flags & O_ACCMODE) == O_RDWR,
                           .announced = how.announced,
                           .emptied = (how.flags & O_TRUNC) != 0});
  }
  return plan;
}

Result<OpenPlan> WritableImageFs::plan_open(const std::string& path, const OpenHow& how,
                                            const Caller& caller) {
  if ((how.flags & O_PATH) != 0) return ImageFs::plan_open(path, how, caller);
  if (wants_no_name(how.flags)) return plan_nameless(path, how, caller);
  const bool creates = (how.flags & O_CREAT) != 0;
  const Result<Node> node = find(path);
  if (node) {
    if (creates && (how.flags & O_EXCL) != 0) return Errno(EEXIST);
    return plan_there(*node, how, caller);
  }
  if (!creates || !(node.error() == ENOENT)) return node.error();
  Hold names;
  const Result<Spot> spot = free_spot(path, caller, &names);
  if (spot) return plan_new(*spot, how, caller);
  if (spot.error() != EEXIST || (how.flags & O_EXCL) != 0) return spot.error();
  // Another one has made it meanwhile, and it stays there.
  TRY_ASSIGN(const Node made, find(path));
  return plan_there(made, how, caller);
}

Result<OpenPlan> WritableImageFs::plan_there(const Node& there, const OpenHow& how,
                                             const Caller& caller) {
  const Node* node = &there;
  TRY_ASSIGN(const Use use, hold_use(node->id, true));
  TRY_ASSIGN(const Attr attr, attr_of(node->id));
  const bool writes = (rights_needed(how.flags) & W_OK) != 0;
  if ((how.flags & O_DIRECTORY) != 0 && !S_ISDIR(attr.stx_mode)) return Errno(ENOTDIR);
  if (!S_ISREG(attr.stx_mode)) {
    OpenHow plain = how;
    if (!S_ISDIR(attr.stx_mode)) plain.flags &= ~O_CREAT;
    return plan_node(*node, attr, plain, caller);
  }
  const auto planned = mounted().planned.insert(node->id);
  auto plan = writes ? plan_write(*node, attr, how, caller) : plan_read(*node, attr, how, caller);
  mounted().planned.erase(planned);
  if (!plan && mounted().hears != nullptr) end_open(node->id);
  if (plan && how.by_link) stage().lead(node->id, node->place, &*plan);
  return plan;
}

Result<OpenPlan> WritableImageFs::plan_read(const Node& node, const Attr& attr, const OpenHow& how,
                                            const Caller& caller) {
  OpenHow plain = how;
  plain.flags &= ~O_CREAT;
  TRY_ASSIGN(OpenPlan plan, plan_node(node, attr, plain, caller));
  stage().opens(plan.host);
  plan.notify = true;
  return plan;
}

Result<OpenPlan> WritableImageFs::plan_write(const Node& node, const Attr& attr, const OpenHow& how,
                                             const Caller& caller) {
  remember(node);
  if (!allows(node.id, attr, rights_needed(how.flags), caller)) return Errno(EACCES);
  if ((attr.stx_attributes & STATX_ATTR_IMMUTABLE) != 0) return Errno(EPERM);
  const bool appends = (how.flags & O_APPEND) != 0 && (how.flags & O_TRUNC) == 0;
  if ((attr.stx_attributes & STATX_ATTR_APPEND) != 0 && !appends) return Errno(EPERM);
  if ((how.flags & O_NOATIME) != 0 && !is_owner(attr, caller)) return Errno(EPERM);
  TRY(opens(node.id, how.flags));
  std::string host;
  if ((how.flags & O_TRUNC) != 0 && !stage().has_content(node.id)) {
    TRY_ASSIGN(host, stage().empty_content(node.id, attr, node.place));
    mounted().unconfirmed[node.id] = MountedImage::Unconfirmed::kEmptied;
  } else {
    TRY_ASSIGN(host, stage().content(node.id, attr, node.place, false));
  }
  return plan_for(node.id, std::move(host), how);
}

/// The name is there before the task's own open, as it is with the kernel's.
Result<OpenPlan> WritableImageFs::plan_new(const Spot& spot, const OpenHow& how,
                                           const Caller& caller) {
  const bool socket = how.create_type == NodeType::kSocket;
  const mode_t type = socket ? S_IFSOCK : S_IFREG;
  const WritableImage::NewNode made = new_node(spot, type | (how.mode & 07777), caller);
  TRY_ASSIGN(const NodeId node, writable().mknod(spot.directory, spot.name, made));
  remember({node, {spot.directory, spot.name}});
  mounted().unconfirmed[node] = MountedImage::Unconfirmed::kMade;
  Result<std::string> host = Errno(EIO);
  const Result<void> open = opens(node, how.flags);
  if (!open) {
    host = open.error();
  } else if (socket) {
    host = stage().object_to_make(node);
  } else if (const auto attr = attr_of(node); attr) {
    host = stage().empty_content(node, *attr, {spot.directory, spot.name});
  } else {
    host = attr.error();
  }
  if (!host) {
    mounted().unconfirmed.erase(node);
    if (mounted().hears != nullptr) mounted().hears->closed(node);
    TRY(writable().unlink(spot.directory, spot.name));
    return host.error();
  }
  if (!socket) {
    OpenHow plain = how;
    plain.flags &= ~O_TRUNC;
    OpenPlan plan = plan_for(node, std::move(*host), plain);
    const Place place{spot.directory, spot.name};
    stage().added({place, node});
    if (how.by_link) stage().lead(node, place, &plan);
    return plan;
  }
  OpenPlan plan;
  plan.host = std::move(*host);
  plan.flags = how.flags;
  plan.mode = how.mode;
  plan.notify = true;
  return plan;
}

Result<OpenPlan> WritableImageFs::plan_nameless(const std::string& path, const OpenHow& how,
                                                const Caller& caller) {
  if ((how.flags & O_ACCMODE) == O_RDONLY) return Errno(EINVAL);
  TRY_ASSIGN(const Node directory, find(path));
  Spot spot;
  spot.directory = directory.id;
  TRY_ASSIGN(spot.attr, attr_of(directory.id));
  if (!S_ISDIR(spot.attr.stx_mode)) return Errno(ENOTDIR);
  if (!allows(spot.directory, spot.attr, W_OK | X_OK, caller)) return Errno(EACCES);
  const mode_t mode = S_IFREG | (how.mode & 07777);
  TRY_ASSIGN(const NodeId node,
             writable().make_nameless(directory.id, new_node(spot, mode, caller)));
  mounted().nameless[node] = (how.flags & O_EXCL) == 0;
  mounted().unconfirmed[node] = MountedImage::Unconfirmed::kNameless;
  const auto planned = mounted().planned.insert(node);
  Result<std::string> host = Errno(EIO);
  if (const auto attr = attr_of(node)) {
    host = stage().empty_content(node, *attr, {0, "nameless"});
  } else {
    host = attr.error();
  }
  mounted().planned.erase(planned);
  if (!host) {
    forget_nameless(node);
    return host.error();
  }
  OpenHow plain = how;
  plain.flags &= ~O_TMPFILE;
  return plan_for(node, std::move(*host), plain);
}

Result<void> WritableImageFs::opens(NodeId node, int flags) {
  if (mounted().hears == nullptr) return {};
  TRY_ASSIGN(const bool changed, mounted().hears->opens(node, flags));
  mounted().open.insert(node);
  return changed && stage().has_content(node) ? renew(node) : Result<void>();
}

/// What was written here isn't older than what the image has.
Result<void> WritableImageFs::renew(NodeId node) {
  if (pending().pending(node)) return pending().write_back(node);
  return stage().renew(node, [&] { return !pending().pending(node); });
}

void WritableImageFs::follow(NodeId node) {
  if (!stage().has_content(node) || pending().pending(node)) return;
  // Where it can't be read, what was read before stays.
  if (mounted().hears->content_changed(node)) (void)renew(node);
}

Result<bool> WritableImageFs::closing(const std::string& host) {
  const std::optional<NodeId> node = stage().node_at(host);
  if (!node) return stage().ghost_at(host) != nullptr;
  const Result<void> written = pending().write_back(*node);
  const Result<void> flushed = mounted().hears->flush(*node);
  TRY(written);  // fuse_flush() of fs/fuse/file.c has the error of writing first
  TRY(flushed);
  return true;
}

void WritableImageFs::closed(const std::string& host) {
  if (const auto node = stage().node_at(host)) return end_open(*node);
  if (host.empty()) {
    const std::vector<NodeId> nodes(mounted().open.begin(), mounted().open.end());
    for (const NodeId node : nodes) end_open(node);
  }
  // Their names have gone: nobody is left to be told of an error.
  for (const NodeId node : stage().ended()) (void)writable().release(node);
}

bool WritableImageFs::has_closed(const std::string& host) const {
  const auto ends = [&](NodeId node) { return !is_used(node); };
  const auto& open = mounted().open;
  if (const auto node = stage().node_at(host)) return open.count(*node) != 0 && ends(*node);
  return stage().has_ghosts() || (host.empty() && std::any_of(open.begin(), open.end(), ends));
}

/// By a descriptor, or by a call that will make one.
bool WritableImageFs::is_used(NodeId node) const {
  return mounted().planned.count(node) != 0 || stage().in_use(node);
}

/// Nobody has it open any more. Whoever removes its name says so first, as the one who closed it
/// may have ended just now: a server that takes it for open would keep it, by a name of its own.
void WritableImageFs::end_open(NodeId node) {
  if (mounted().open.count(node) == 0 || is_used(node)) return;
  // Who closed it last was told of what failed; it is tried again at the end.
  if (!pending().settle(node) || is_used(node)) return;
  if (mounted().open.erase(node) == 0) return;
  mounted().hears->closed(node);
}

void WritableImageFs::opened(const std::string& path, const OpenPlan& plan, bool success) {
  const std::string host = stage().end_lead(plan.host);
  finish_open(path, host, success);
  if (!success && mounted().hears != nullptr) closed(host);
}

bool WritableImageFs::only_notes(const OpenPlan& plan) const {
  const auto node = stage().node_at(stage().led(plan.host));
  return node && mounted().unconfirmed.count(*node) == 0;
}

void WritableImageFs::finish_open(const std::string& path, const std::string& host, bool success) {
  const std::optional<NodeId> content = stage().node_at(host);
  if (!content && stage().ghost_at(host) != nullptr) return stage().opened(host);
  NodeId node = content.value_or(0);
  if (!content) {
    // A socket, which is an object only now.
    const auto found = find(path);
    if (!found) return;
    node = found->id;
    if (success) success = stage().made(node).ok();
    if (success) stage().added({found->place, node});
  }
  stage().opened(host);
  const auto known = mounted().unconfirmed.find(node);
  if (known == mounted().unconfirmed.end()) return;
  const auto what = known->second;
  mounted().unconfirmed.erase(known);
  if (success) {
    const auto attr = writable().getattr(node);
    const auto slash = path.rfind('/') + 1;  // 0 where there is none
    // Where that fails its own user may do natively what the view refuses him.
    if (attr && (attr->stx_mode & 0600) != 0600)
      (void)stage().renamed(node, *attr, path.substr(slash));
    return;
  }
  if (what == MountedImage::Unconfirmed::kNameless) return forget_nameless(node);
  // Another one emptied it as well, and has it.
  if (what == MountedImage::Unconfirmed::kEmptied && stage().in_use(node)) {
    mounted().unconfirmed[node] = what;  // or is about to: that may fail, too
    return;
  }
  stage().forget(node, nullptr);
  pending().forget(node);
  if (what != MountedImage::Unconfirmed::kMade) return;
  Hold names;
  const auto spot = this->spot(path, &names);
  Result<NodeId> there = Errno(ENOENT);
  if (spot) there = writable().lookup(spot->directory, spot->name);
  // A name that can't be taken back stays, as an empty file.
  if (there && *there == node && writable().unlink(spot->directory, spot->name))
    stage().removed({{spot->directory, spot->name}});
  mounted().places.erase(node);
}

/// notify_change() of fs/attr.c: what chattr(1) forbids.
Result<void> WritableImageFs::check_flags(const Attr& attr, const SetAttr& set) {
  const bool append = (attr.stx_attributes & STATX_ATTR_APPEND) != 0;
  const auto given = [](const std::optional<timespec>& time) {
    return time && time->tv_nsec != UTIME_NOW && time->tv_nsec != UTIME_OMIT;
  };
  const bool beyond_now =
      set.mode || set.uid || set.gid || set.size || given(set.atime) || given(set.mtime);
  const bool immutable = (attr.stx_attributes & STATX_ATTR_IMMUTABLE) != 0;
  if (immutable || (append && beyond_now)) return Errno(EPERM);
  return {};
}

/// setattr_prepare() and do_truncate().
Result<void> WritableImageFs::check_setattr(NodeId node, const Attr& attr, const SetAttr& set,
                                            const Caller& caller) const {
  if (set.size) {
    if (S_ISDIR(attr.stx_mode)) return Errno(EISDIR);
    if (!S_ISREG(attr.stx_mode)) return Errno(EINVAL);
    if (!allows(node, attr, W_OK, caller)) return Errno(EACCES);
  }
  TRY(check_flags(attr, set));
  if (set.mode && !is_owner(attr, caller)) return Errno(EPERM);
  if (set.uid && caller.uid != 0 && (*set.uid != attr.stx_uid || !is_owner(attr, caller)))
    return Errno(EPERM);
  if (set.gid && caller.uid != 0) {
    const bool own = *set.gid == attr.stx_gid || in_group(*set.gid, caller);
    if (!is_owner(attr, caller) || !own) return Errno(EPERM);
  }
  if ((set.atime || set.mtime) && !is_owner(attr, caller)) {
    const bool now = set.atime && set.mtime && set.atime->tv_nsec == UTIME_NOW &&
                     set.mtime->tv_nsec == UTIME_NOW;
    if (!now) return Errno(EPERM);
    if (!allows(node, attr, W_OK, caller)) return Errno(EACCES);
  }
  return {};
}

Result<void> WritableImageFs::set_size(const Node& node, const Attr& attr, uint64_t size) {
  SetAttr set;
  set.size = size;
  if (stage().has_content(node.id)) {
    pending().begin(node.id, {.announced = true});
    if (size > attr.stx_size && pending().reserve(1) == 0) return Errno(ENOSPC);
    if (!stage().truncate(node.id, node.place, size)) TRY(pending().resize(node.id, size));
    return pending().write_back(node.id);
  }
  TRY(writable().setattr(node.id, set));
  stage().changed(node.id, node.place, set);
  return {};
}

Result<void> WritableImageFs::setattr(const std::string& path, const SetAttr& set,
                                      const Caller& caller) {
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(const Use alone, hold_use(node.id, false));
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  TRY(check_setattr(node.id, attr, set, caller));
  if (set.size) TRY(set_size(node, attr, *set.size));
  SetAttr rest = set;
  rest.size.reset();
  const bool foreign = caller.uid != 0 && !in_group(attr.stx_gid, caller);
  if (rest.mode && foreign && S_ISREG(attr.stx_mode)) *rest.mode &= ~static_cast<mode_t>(S_ISGID);
  if ((rest.uid || rest.gid) && !S_ISDIR(attr.stx_mode) && !rest.mode) {
    const mode_t mode = without_set_id(attr.stx_mode);
    if (mode != (attr.stx_mode & 07777U)) rest.mode = mode;
  }
  const bool set_id = (attr.stx_mode & S_ISUID) != 0 ||
                      (attr.stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (set.size && set_id && caller.uid != 0 && !rest.mode)
    rest.mode = without_set_id(attr.stx_mode);
  if (!rest.mode && !rest.uid && !rest.gid && !rest.atime && !rest.mtime) return {};
  // What was written before is not to show as written after; who is told of writes himself has to
  // have had them then.
  if (rest.mtime && mounted().hears != nullptr) TRY(pending().write_back(node.id));
  TRY(writable().setattr(node.id, rest));
  if (rest.mtime) pending().time_was_set(node.id);
  if (!rest.mode || !stage().has_content(node.id)) stage().changed(node.id, node.place, rest);
  if (!rest.mode) return {};
  // As it was set: what a writer takes away of it afterwards shows by what is missing.
  TRY_ASSIGN(const Attr now, writable().getattr(node.id));
  return stage().renamed(node.id, now, node.place.name, &node.place);
}

/// xattr_permission() of fs/xattr.c.
Result<ImageFs::Node> WritableImageFs::for_xattr(const std::string& path, const std::string& name,
                                                 const Caller& caller, Use* alone) {
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(*alone, hold_use(node.id, false));
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  if (name.starts_with("trusted.") && caller.uid != 0) return Errno(EPERM);
  if (name.starts_with("user.")) {
    if (!S_ISREG(attr.stx_mode) && !S_ISDIR(attr.stx_mode)) return Errno(EPERM);
    const bool sticky = S_ISDIR(attr.stx_mode) && (attr.stx_mode & S_ISVTX) != 0;
    if (sticky && !is_owner(attr, caller)) return Errno(EPERM);
    if (!allows(node.id, attr, W_OK, caller)) return Errno(EACCES);
  } else if (name.starts_with("security.") && caller.uid != 0) {
    return Errno(EPERM);  // cap_inode_setxattr()
  } else if (!is_owner(attr, caller)) {
    return Errno(EPERM);
  }
  return node;
}

/// An attribute was set, or removed (null).
Result<void> WritableImageFs::xattr_changed(const Node& node, const std::string& name,
                                            const std::string* value, const Caller& caller) {
  if (!stage().xattr_changed(node.id, node.place, name, value)) {
    SetAttr any;
    any.mode = 0;
    stage().changed(node.id, node.place, any);
  }
  return name == "system.posix_acl_access" ? acl_changed(node, caller) : Result<void>();
}

/// The mode is another now, and who may open it natively. posix_acl_update_mode()
Result<void> WritableImageFs::acl_changed(const Node& node, const Caller& caller) {
  TRY_ASSIGN(Attr attr, writable().getattr(node.id));
  const bool foreign = caller.uid != 0 && !in_group(attr.stx_gid, caller);
  if ((attr.stx_mode & S_ISGID) != 0 && foreign) {
    SetAttr less;
    less.mode = attr.stx_mode & 07777U & ~static_cast<mode_t>(S_ISGID);
    TRY(writable().setattr(node.id, less));
    TRY_ASSIGN(attr, writable().getattr(node.id));
  }
  return stage().renamed(node.id, attr, node.place.name);
}

Result<void> WritableImageFs::setxattr(const std::string& path, const std::string& name,
                                       std::string_view value, int flags, const Caller& caller) {
  Use alone;
  TRY_ASSIGN(const Node node, for_xattr(path, name, caller, &alone));
  TRY(writable().setxattr(node.id, name, value, flags));
  const std::string text(value);
  return xattr_changed(node, name, &text, caller);
}

Result<void> WritableImageFs::removexattr(const std::string& path, const std::string& name,
                                          const Caller& caller) {
  Use alone;
  TRY_ASSIGN(const Node node, for_xattr(path, name, caller, &alone));
  TRY(writable().removexattr(node.id, name));
  return xattr_changed(node, name, nullptr, caller);
}

/// vfs_fileattr_set() of fs/file_attr.c.
Result<void> WritableImageFs::setflags(const std::string& path, const FileFlags& set,
                                       const Caller& caller) {
  TRY_ASSIGN(const Node node, find(path));
  TRY_ASSIGN(const Attr attr, attr_of(node.id));
  TRY_ASSIGN(const FileFlags old, writable().getflags(node.id));
  if (!is_owner(attr, caller)) return Errno(EPERM);
  constexpr uint32_t kRoots = FS_IMMUTABLE_FL | FS_APPEND_FL;
  // CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE
  if (((old.flags ^ set.flags) & (kRoots | FS_JOURNAL_DATA_FL)) != 0 && caller.uid != 0)
    return Errno(EPERM);
  // What was written before isn't forbidden by what is set now; what is written later by who has it
  // open couldn't get into the image.
  if ((set.flags & ~old.flags & kRoots) != 0 && stage().has_writers(node.id)) return Errno(EBUSY);
  if ((set.flags & kRoots) != 0) TRY(pending().write_back(node.id));
  return writable().setflags(node.id, set);
}

}  // namespace viewsh
