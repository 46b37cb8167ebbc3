#include <fcntl.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>

#include "fuse_bytes.h"
#include "fuse_image.h"

namespace viewsh {
namespace {

constexpr unsigned kRenameFlags = RENAME_NOREPLACE | RENAME_EXCHANGE;

/// new_encode_dev() of the kernel.
uint32_t device_number(dev_t rdev) {
  const unsigned high = major(rdev);
  const unsigned low = minor(rdev);
  return (low & 0xff) | (high << 8) | ((low & ~0xffU) << 12);
}

/// A name with the NUL that the protocol has behind it.
std::string_view with_nul(const std::string& name) { return {name.c_str(), name.size() + 1}; }

}  // namespace

/// EEXIST, and what a name must not be. As in the kernel, which looks a name up before it makes it.
Result<void> FuseImage::check_new(NodeId directory, std::string_view name) {
  if (name == "." || name == "..") return Errno(EEXIST);
  if (name.size() > kFuseNameMax) return Errno(ENAMETOOLONG);
  if (!fuse_good_name(name)) return Errno(name.empty() ? ENOENT : EINVAL);
  const auto found = lookup(directory, name);
  if (found) return Errno(EEXIST);
  if (found.error() != ENOENT) return found.error();
  return {};
}

void FuseImage::changed_directory(NodeId directory, std::string_view name) {
  nodes_.drop_name(directory, name);
  nodes_.stale(directory);
  unsynced_.emplace(directory, true);
}

Result<NodeId> FuseImage::mknod(NodeId directory, std::string_view name, const NewNode& node) {
  const mode_t type = node.mode & S_IFMT;
  if (type == S_IFDIR || type == S_IFLNK || type == 0) return Errno(EINVAL);
  TRY_ASSIGN(const Ref kept, nodes_.directory(directory));
  TRY(check_new(directory, name));
  if (type == S_IFREG && !session_.lacks(FUSE_CREATE)) {
    const auto made = create(directory, name, node);
    if (made || made.error() != ENOSYS) return made;
    session_.set_lacks(FUSE_CREATE);
  }
  TRY(session_.ready());
  fuse_mknod_in in = {};
  in.mode = node.mode;
  in.rdev = device_number(node.rdev);
  const auto made = ask_entry(FUSE_MKNOD, directory, name,
                              {fuse_bytes(in).substr(0, session_.mknod_in_size())}, &node, type);
  if (!made) return made.error();
  nodes_.stale(directory);
  unsynced_.emplace(directory, true);
  return (*made)->id;
}

/// FUSE_CREATE opens the file as well: opens() or closed() comes next.
Result<NodeId> FuseImage::create(NodeId directory, std::string_view name, const NewNode& node) {
  Handle handle;
  TRY_ASSIGN(const Ref made, ask_create(FUSE_CREATE, directory, name, node, &handle));
  nodes_.stale(directory);
  unsynced_.emplace(directory, true);
  made->opened[O_RDWR] = std::move(handle);
  made->fresh = true;
  return made->id;
}

/// FUSE_CREATE or FUSE_TMPFILE.
Result<FuseNodes::Ref> FuseImage::ask_create(uint32_t opcode, NodeId directory,
                                             std::string_view name, const NewNode& node,
                                             Handle* handle) {
  TRY(session_.ready());
  const std::string text(name);
  fuse_create_in in = {};
  constexpr uint32_t kOpened = O_RDWR | kFuseLargeFile;
  in.flags = kOpened | O_CREAT | O_EXCL;
  in.mode = node.mode;
  const size_t size = session_.entry_size() + sizeof(fuse_open_out);
  TRY_ASSIGN(const std::string reply,
             session_.ask_as(who_makes(&node), opcode, directory,
                             {fuse_bytes(in).substr(0, session_.create_in_size()), with_nul(text)},
                             size, size));
  TRY_ASSIGN(const fuse_entry_out entry, entry_of(reply, 0));
  fuse_open_out open;
  if (!fuse_get(reply, session_.entry_size(), &open)) return Errno(EIO);
  const bool valid = entry.nodeid != 0 && entry.nodeid != FUSE_ROOT_ID;
  // It is released even where the node can't be.
  if (valid) {
    *handle = std::make_shared<FuseHandle>(session_, entry.nodeid, open, kOpened, false, true);
  }
  return nodes_.enter(directory, name, entry, S_IFREG);
}

Result<NodeId> FuseImage::mkdir(NodeId directory, std::string_view name, const NewNode& node) {
  TRY_ASSIGN(const Ref kept, nodes_.directory(directory));
  TRY(check_new(directory, name));
  fuse_mkdir_in in = {};
  in.mode = node.mode & 07777;
  const auto made = ask_entry(FUSE_MKDIR, directory, name, {fuse_bytes(in)}, &node, S_IFDIR);
  if (!made) return made.error();
  nodes_.stale(directory);
  unsynced_.emplace(directory, true);
  return (*made)->id;
}

Result<NodeId> FuseImage::symlink(NodeId directory, std::string_view name,
                                  const std::string& target, const NewNode& node) {
  if (target.empty()) return Errno(ENOENT);
  if (target.size() >= PATH_MAX) return Errno(ENAMETOOLONG);
  if (target.find('\0') != std::string::npos) return Errno(EINVAL);
  TRY_ASSIGN(const Ref kept, nodes_.directory(directory));
  TRY(check_new(directory, name));
  const auto made = ask_entry(FUSE_SYMLINK, directory, name, {with_nul(target)}, &node, S_IFLNK);
  if (!made) return made.error();
  nodes_.stale(directory);
  unsynced_.emplace(directory, true);
  return (*made)->id;
}

Result<NodeId> FuseImage::make_nameless(NodeId, const NewNode& node) {
  if ((node.mode & S_IFMT) != S_IFREG) return Errno(EINVAL);
  if (session_.lacks(FUSE_TMPFILE)) return Errno(EOPNOTSUPP);
  Handle handle;
  const auto made = session_.optional<Ref>(
      FUSE_TMPFILE, ask_create(FUSE_TMPFILE, FUSE_ROOT_ID, "/", node, &handle), Errno(EOPNOTSUPP));
  if (!made) return made.error();
  nodes_.drop_name(FUSE_ROOT_ID, "/");
  ++(*made)->holds;
  (*made)->handle = handle;
  return (*made)->id;
}

Result<void> FuseImage::link(NodeId id, NodeId directory, std::string_view name) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  TRY_ASSIGN(const Ref kept, nodes_.directory(directory));
  TRY(check_new(directory, name));
  if (S_ISDIR(node->type)) return Errno(EPERM);
  fuse_link_in in = {};
  in.oldnodeid = id;
  const auto made = ask_entry(FUSE_LINK, directory, name, {fuse_bytes(in)}, nullptr, node->type);
  // It may have been made, even so.
  nodes_.stale(id);
  nodes_.stale(directory);
  if (!made) return made.error();
  unsynced_.emplace(directory, true);
  return {};
}

/// A name of the node went. With the last one goes the number, unless somebody holds it.
void FuseImage::lost_name(const Ref& node) {
  const bool last = S_ISDIR(node->type) || node->attr.nlink <= 1;
  nodes_.stale(node.get());
  if (S_ISDIR(node->type)) unsynced_.erase({node->id, true});
  if (!last || node->holds != 0 || !nodes_.current(node)) return;
  unsynced_.erase({node->id, false});
  nodes_.forget(node->id);
}

/// The threads of a server take requests in any order, and libfuse gives a file that it thinks is
/// open another name, which keeps its directory from being removed. In Linux there is mostly some
/// time between the last close(2) and unlink(2).
void FuseImage::await_release(const Ref& node) {
  const uint32_t opcode = S_ISDIR(node->type) ? FUSE_RELEASEDIR : FUSE_RELEASE;
  while (const uint64_t unique = channel_.unanswered(node->id, opcode)) {
    // Whoever has a signal doesn't wait for this.
    if (!wait_->wait(channel_, unique)) return;
  }
}

Result<void> FuseImage::remove(uint32_t opcode, NodeId directory, std::string_view name) {
  TRY_ASSIGN(const Ref kept, nodes_.directory(directory));
  TRY_ASSIGN(const NodeId id, lookup(directory, name));
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  const bool is_directory = S_ISDIR(node->type);
  if (opcode == FUSE_UNLINK && is_directory) return Errno(EISDIR);
  if (opcode == FUSE_RMDIR && !is_directory) return Errno(ENOTDIR);
  await_release(node);
  const std::string text(name);
  const auto removed = session_.ask_nothing(opcode, directory, {with_nul(text)});
  if (!removed) {
    // Interrupted, or not what was thought: the name is to be looked up again.
    nodes_.drop_name(directory, name);
    return removed;
  }
  changed_directory(directory, name);
  lost_name(node);
  return {};
}

Result<void> FuseImage::unlink(NodeId directory, std::string_view name) {
  return remove(FUSE_UNLINK, directory, name);
}

Result<void> FuseImage::rmdir(NodeId directory, std::string_view name) {
  if (name == ".") return Errno(EINVAL);
  if (name == "..") return Errno(ENOTEMPTY);
  return remove(FUSE_RMDIR, directory, name);
}

Result<void> FuseImage::ask_rename(NodeId from_directory, std::string_view from,
                                   NodeId to_directory, std::string_view to, unsigned flags) {
  const std::string old_name(from);
  const std::string new_name(to);
  if (flags == 0) {
    fuse_rename_in in = {};
    in.newdir = to_directory;
    return session_.ask_nothing(FUSE_RENAME, from_directory,
                                {fuse_bytes(in), with_nul(old_name), with_nul(new_name)});
  }
  TRY(session_.ready());
  constexpr uint32_t kRename2Since = 23;
  if (session_.minor() < kRename2Since || session_.lacks(FUSE_RENAME2)) return Errno(EINVAL);
  fuse_rename2_in in = {};
  in.newdir = to_directory;
  in.flags = flags;
  return session_.optional<void>(
      FUSE_RENAME2,
      session_.ask_nothing(FUSE_RENAME2, from_directory,
                           {fuse_bytes(in), with_nul(old_name), with_nul(new_name)}),
      Errno(EINVAL));
}

Result<void> FuseImage::rename(NodeId from_directory, std::string_view from, NodeId to_directory,
                               std::string_view to, unsigned flags) {
  if ((flags & ~kRenameFlags) != 0 || flags == kRenameFlags) {
    return Errno(EINVAL);
  }
  // What the request names stays known until it is answered.
  TRY_ASSIGN(const Ref kept, nodes_.directory(from_directory));
  TRY_ASSIGN(const Ref kept_too, nodes_.directory(to_directory));
  TRY_ASSIGN(const NodeId moved, lookup(from_directory, from));
  TRY_ASSIGN(const Ref node, nodes_.find(moved));
  const auto there = lookup(to_directory, to);
  Ref over;
  if (there) {
    if ((flags & RENAME_NOREPLACE) != 0) return Errno(EEXIST);
    TRY_ASSIGN(over, nodes_.find(*there));
  } else if (there.error() != ENOENT || (flags & RENAME_EXCHANGE) != 0) {
    return there.error();
  } else if (!fuse_good_name(to)) {
    return Errno(EINVAL);
  }
  // Servers count on the kernel for this; libfuse would wait for itself.
  if (nodes_.is_below(to_directory, moved)) return Errno(EINVAL);
  if (over != nullptr) {
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    if (nodes_.is_below(from_directory, over->id)) return Errno(exchange ? EINVAL : ENOTEMPTY);
    if (over == node) return {};
    const bool directory = S_ISDIR(node->type);
    if (!exchange && directory != S_ISDIR(over->type)) return Errno(directory ? ENOTDIR : EISDIR);
  }
  if (over != nullptr) await_release(over);
  const auto renamed = ask_rename(from_directory, from, to_directory, to, flags);
  nodes_.drop_name(from_directory, from);
  nodes_.drop_name(to_directory, to);
  if (!renamed) return renamed;
  changed_directory(from_directory, from);
  changed_directory(to_directory, to);
  moved_to(node, to_directory);
  if (over != nullptr && (flags & RENAME_EXCHANGE) != 0) {
    moved_to(over, from_directory);
  } else if (over != nullptr) {
    lost_name(over);
  }
  return {};
}

void FuseImage::moved_to(const Ref& node, NodeId directory) {
  nodes_.stale(node.get());
  if (S_ISDIR(node->type) && nodes_.current(node)) nodes_.set_parent(node.get(), directory);
}

}  // namespace viewsh
