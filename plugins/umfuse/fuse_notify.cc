#include "fuse_notify.h"

#include <linux/fuse.h>

#include "fuse_bytes.h"

namespace viewsh {
namespace {

/// The name behind a structure, which has a NUL at its end that `length` doesn't count.
bool name_of(std::string_view payload, size_t skip, uint32_t length, std::string_view* name) {
  if (length > kFuseNameMax || payload.size() != skip + length + 1) return false;
  if (payload.back() != '\0') return false;
  *name = payload.substr(skip, length);
  return fuse_good_name(*name);
}

bool inval_inode(std::string_view payload, FuseListener* listener) {
  fuse_notify_inval_inode_out out;
  if (payload.size() != sizeof out || !fuse_get(payload, 0, &out)) return false;
  listener->inval_inode(out.ino, out.off, out.len);
  return true;
}

bool inval_entry(std::string_view payload, FuseListener* listener) {
  fuse_notify_inval_entry_out out;
  std::string_view name;
  if (!fuse_get(payload, 0, &out) || !name_of(payload, sizeof out, out.namelen, &name)) {
    return false;
  }
  listener->inval_entry(out.parent, name, (out.flags & FUSE_EXPIRE_ONLY) != 0);
  return true;
}

bool deleted(std::string_view payload, FuseListener* listener) {
  fuse_notify_delete_out out;
  std::string_view name;
  if (!fuse_get(payload, 0, &out) || !name_of(payload, sizeof out, out.namelen, &name)) {
    return false;
  }
  listener->deleted(out.parent, out.child, name);
  return true;
}

bool store(std::string_view payload, FuseListener* listener) {
  fuse_notify_store_out out;
  if (!fuse_get(payload, 0, &out) || payload.size() - sizeof out != out.size) return false;
  if (out.offset > static_cast<uint64_t>(INT64_MAX) - out.size) return false;
  listener->store(out.nodeid, out.offset, payload.substr(sizeof out));
  return true;
}

bool retrieve(std::string_view payload, FuseListener* listener) {
  fuse_notify_retrieve_out out;
  if (payload.size() != sizeof out || !fuse_get(payload, 0, &out)) return false;
  listener->retrieve(out.notify_unique, out.nodeid, out.offset, out.size);
  return true;
}

bool poll(std::string_view payload, FuseListener* listener) {
  fuse_notify_poll_wakeup_out out;
  if (payload.size() != sizeof out || !fuse_get(payload, 0, &out)) return false;
  listener->poll(out.kh);
  return true;
}

}  // namespace

bool fuse_good_name(std::string_view name) {
  if (name.empty() || name.size() > kFuseNameMax || name == "." || name == "..") return false;
  return name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool fuse_notify(int32_t code, std::string_view payload, FuseListener* listener) {
  switch (code) {
    case FUSE_NOTIFY_POLL:
      return poll(payload, listener);
    case FUSE_NOTIFY_INVAL_INODE:
      return inval_inode(payload, listener);
    case FUSE_NOTIFY_INVAL_ENTRY:
      return inval_entry(payload, listener);
    case FUSE_NOTIFY_STORE:
      return store(payload, listener);
    case FUSE_NOTIFY_RETRIEVE:
      return retrieve(payload, listener);
    case FUSE_NOTIFY_DELETE:
      return deleted(payload, listener);
    default:
      return false;
  }
}

}  // namespace viewsh
