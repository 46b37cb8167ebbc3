#include "fuse_image.h"

#include <fcntl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <climits>

#include "fuse_bytes.h"

namespace viewsh {
namespace {

/// new_decode_dev() of the kernel.
unsigned major_of(uint32_t rdev) { return (rdev & 0xfff00) >> 8; }
unsigned minor_of(uint32_t rdev) { return (rdev & 0xff) | ((rdev >> 12) & 0xfff00); }

statx_timestamp time_of(uint64_t seconds, uint32_t nanoseconds) {
  constexpr uint32_t kMost = 999'999'999;
  statx_timestamp time = {};
  time.tv_sec = static_cast<int64_t>(seconds);
  time.tv_nsec = nanoseconds > kMost ? kMost : nanoseconds;
  return time;
}

}  // namespace

FuseImage::FuseImage(UniqueFd fd, std::unique_ptr<FuseWait> wait, const FuseOptions& options)
    : wait_(std::move(wait)),
      channel_(std::move(fd)),
      session_(channel_, *wait_, options),
      nodes_(session_, options.rootmode) {
  channel_.listen(this);
  session_.start();
}

FuseImage::~FuseImage() {
  if (!closed_) channel_.shut();
}

Result<fuse_entry_out> FuseImage::entry_of(std::string_view reply, size_t offset) const {
  fuse_entry_out out;
  if (!fuse_get_old(reply, offset, session_.entry_size(), &out)) return Errno(EIO);
  return out;
}

Result<NodeId> FuseImage::lookup(NodeId directory, std::string_view name) {
  if (name.size() > kFuseNameMax) return Errno(ENAMETOOLONG);
  if (!fuse_good_name(name)) return Errno(ENOENT);
  const auto parent = nodes_.directory(directory);
  if (!parent) return parent.error();
  if (const auto known = nodes_.known(directory, name)) {
    if (*known == 0) return Errno(ENOENT);
    return *known;
  }
  nodes_.make_room();
  TRY_ASSIGN(const Ref node, ask_lookup(*parent, name));
  return node->id;
}

/// A request that has a name at its end and an entry for its answer. `node`: who makes it.
Result<FuseNodes::Ref> FuseImage::ask_entry(uint32_t opcode, NodeId directory,
                                            std::string_view name, Parts parts, const NewNode* node,
                                            mode_t type) {
  // The sizes are known only then.
  TRY(session_.ready());
  const std::string text(name);
  const std::string_view with_nul(text.c_str(), text.size() + 1);
  // FUSE_SYMLINK has the name before the target.
  if (opcode == FUSE_SYMLINK) {
    parts[1] = parts[0];
    parts[0] = with_nul;
  } else {
    parts[1] = with_nul;
  }
  const size_t size = session_.entry_size();
  TRY_ASSIGN(const std::string asked,
             session_.ask_as(who_makes(node), opcode, directory, parts, size, size));
  TRY_ASSIGN(const fuse_entry_out out, entry_of(asked, 0));
  return nodes_.enter(directory, name, out, type);
}

/// Names may change while the server looks: what it says then counts for who asked, as it does
/// where it comes a moment earlier, and for nobody else.
Result<FuseNodes::Ref> FuseImage::ask_lookup(const Ref& directory, std::string_view name) {
  TRY(session_.ready());
  const std::string text(name);
  const size_t size = session_.entry_size();
  const uint64_t asked = nodes_.changes();
  const auto reply = session_.ask(FUSE_LOOKUP, directory->id,
                                  {std::string_view(text.c_str(), text.size() + 1)}, size, size);
  if (!reply) {
    if (reply.error() == ENOENT) nodes_.drop_name(directory->id, name);
    return reply.error();
  }
  TRY_ASSIGN(const fuse_entry_out out, entry_of(*reply, 0));
  if (out.nodeid != 0) return nodes_.enter(directory->id, name, out, 0, asked);
  nodes_.absent(directory->id, name, out, asked);
  return Errno(ENOENT);
}

FuseWho FuseImage::who_makes(const NewNode* node) const {
  if (node == nullptr || !session_.options().checked) return session_.who();
  return {node->uid, node->gid, session_.who().pid};
}

/// What is held may have no path any more.
Result<void> FuseImage::refresh(const Ref& node) {
  return refresh_by(node, S_ISREG(node->type) ? node->handle.get() : nullptr);
}

/// Whoever has it open may look at it where its path is closed to the server by now, as when what
/// was written is brought home.
Result<void> FuseImage::refresh_open(const Ref& node) {
  const Result<void> done = refresh(node);
  if (done.error() != EACCES || !S_ISREG(node->type) || node->handle != nullptr) return done;
  const auto opened = node->opened;
  const auto any =
      std::find_if(opened.begin(), opened.end(), [](const Handle& one) { return one != nullptr; });
  return any == opened.end() ? done : refresh_by(node, any->get());
}

Result<void> FuseImage::refresh_by(const Ref& node, const FuseHandle* handle) {
  TRY(session_.ready());
  fuse_getattr_in in = {};
  if (handle != nullptr) {
    in.getattr_flags = FUSE_GETATTR_FH;
    in.fh = handle->fh();
  }
  const uint64_t version = node->version;
  TRY_ASSIGN(
      const std::string reply,
      session_.ask(FUSE_GETATTR, node->id, {fuse_bytes(in).substr(0, session_.getattr_in_size())},
                   session_.attr_out_size(), session_.attr_out_size()));
  fuse_attr_out out;
  if (!fuse_get_old(reply, 0, session_.attr_out_size(), &out)) return Errno(EIO);
  return nodes_.take_attr(node, out.attr, out.attr_valid, out.attr_valid_nsec, version);
}

Result<Attr> FuseImage::getattr(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (!nodes_.fresh(*node)) TRY(refresh(node));
  if (!nodes_.current(node)) return Errno(ESTALE);
  return attr_of(*node);
}

Result<Attr> FuseImage::getattr_open(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (!nodes_.fresh(*node)) TRY(refresh_open(node));
  if (!nodes_.current(node)) return Errno(ESTALE);
  return attr_of(*node);
}

Attr FuseImage::attr_of(const FuseNode& node) const {
  const fuse_attr& from = node.attr;
  Attr attr = {};
  attr.stx_mask = STATX_BASIC_STATS;
  // fuse_fill_attr() of the kernel: 0 is for servers that don't care.
  constexpr uint32_t kBlock = 4096;
  attr.stx_blksize = from.blksize != 0 ? from.blksize : kBlock;
  attr.stx_nlink = from.nlink;
  attr.stx_uid = from.uid;
  attr.stx_gid = from.gid;
  attr.stx_mode = static_cast<uint16_t>(from.mode & (S_IFMT | 07777));
  attr.stx_ino = from.ino;
  attr.stx_size = from.size;
  attr.stx_blocks = from.blocks;
  attr.stx_atime = time_of(from.atime, from.atimensec);
  attr.stx_mtime = time_of(from.mtime, from.mtimensec);
  attr.stx_ctime = time_of(from.ctime, from.ctimensec);
  attr.stx_rdev_major = major_of(from.rdev);
  attr.stx_rdev_minor = minor_of(from.rdev);
  return attr;
}

Result<std::string> FuseImage::readlink(NodeId id) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (!S_ISLNK(node->type)) return Errno(EINVAL);
  TRY_ASSIGN(std::string text, session_.ask(FUSE_READLINK, id, {}, 0, PATH_MAX - 1));
  if (text.empty() || text.find('\0') != std::string::npos) return Errno(EIO);
  return text;
}

Result<void> FuseImage::access(NodeId id, int mask) {
  TRY_ASSIGN(const Ref node, nodes_.find(id));
  if (session_.lacks(FUSE_ACCESS)) return {};
  fuse_access_in in = {};
  in.mask = static_cast<uint32_t>(mask);
  return session_.optional<void>(FUSE_ACCESS,
                                 session_.ask_nothing(FUSE_ACCESS, node->id, {fuse_bytes(in)}), {});
}

Result<void> FuseImage::close() {
  if (closed_) return {};
  const Result<void> synced = sync();
  closed_ = true;
  Result<void> flushed;
  std::vector<Handle> handles;
  nodes_.each([&](FuseNode& node) {
    if (node.handle != nullptr) handles.push_back(node.handle);
    for (const Handle& handle : node.opened) {
      if (handle != nullptr) handles.push_back(handle);
    }
  });
  for (const Handle& handle : handles) {
    if (const auto result = handle->flush(); !result && flushed.ok()) flushed = result;
  }
  handles.clear();
  nodes_.forget_all();
  session_.destroy();
  return synced.ok() ? flushed : synced;
}

void FuseImage::content_is_old(uint64_t id) {
  nodes_.stale(id);
  if (const auto node = nodes_.find_any(id)) (*node)->content_old = true;
}

void FuseImage::inval_inode(uint64_t node, int64_t offset, int64_t length) {
  content_is_old(node);
  if (listener_ != nullptr) listener_->inval_inode(node, offset, length);
}

void FuseImage::inval_entry(uint64_t parent, std::string_view name, bool expire) {
  nodes_.drop_name(parent, name);
  nodes_.stale(parent);
  if (listener_ != nullptr) listener_->inval_entry(parent, name, expire);
}

void FuseImage::deleted(uint64_t parent, uint64_t child, std::string_view name) {
  nodes_.drop_name(parent, name);
  nodes_.stale(parent);
  nodes_.stale(child);
  if (listener_ != nullptr) listener_->deleted(parent, child, name);
}

void FuseImage::store(uint64_t node, uint64_t offset, std::string_view data) {
  // What is kept is read again.
  content_is_old(node);
  if (listener_ != nullptr) listener_->store(node, offset, data);
}

void FuseImage::retrieve(uint64_t unique, uint64_t node, uint64_t offset, uint32_t size) {
  session_.nothing_kept(unique, node, offset);
  if (listener_ != nullptr) listener_->retrieve(unique, node, offset, size);
}

void FuseImage::poll(uint64_t kh) {
  if (listener_ != nullptr) listener_->poll(kh);
}

/// Look-ups and opens of which nobody wants to hear any more are given back.
void FuseImage::late(uint32_t opcode, uint64_t node, std::string_view payload) {
  fuse_entry_out entry = {};
  fuse_open_out open = {};
  switch (opcode) {
    case FUSE_LOOKUP:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_TMPFILE:
      if (!fuse_get_old(payload, 0, session_.entry_size(), &entry)) return;
      if (opcode == FUSE_CREATE || opcode == FUSE_TMPFILE) {
        if (!fuse_get(payload, session_.entry_size(), &open)) return;
        const FuseHandle handle(session_, entry.nodeid, open, O_RDWR, false, true);
      }
      if (entry.nodeid > FUSE_ROOT_ID) {
        session_.forget({{.nodeid = entry.nodeid, .nlookup = 1}});
      }
      return;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
      if (!fuse_get(payload, 0, &open)) return;
      { const FuseHandle handle(session_, node, open, O_RDONLY, opcode == FUSE_OPENDIR, true); }
      return;
    default:
      return;
  }
}

}  // namespace viewsh
