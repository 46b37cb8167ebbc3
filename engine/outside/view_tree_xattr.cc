#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "outside/view_tree.h"
#include "viewsh/long_path.h"

namespace viewsh {

namespace {

bool may_read(const Attr& attr, const Caller& caller) {
  if (caller.uid == 0) return true;
  unsigned bits = attr.stx_mode & 0777U;
  const bool group =
      attr.stx_gid == caller.gid ||
      std::find(caller.groups.begin(), caller.groups.end(), attr.stx_gid) != caller.groups.end();
  if (attr.stx_uid == caller.uid) {
    bits >>= 6U;
  } else if (group) {
    bits >>= 3U;
  }
  return (bits & 4U) != 0;
}

/// What a call says that is asked for the size first, however often that changes meanwhile.
Result<std::string> read_all(const std::function<ssize_t(char*, size_t)>& call) {
  while (true) {
    const ssize_t size = call(nullptr, 0);
    if (size < 0) return Errno::last();
    std::string out(static_cast<size_t>(size), '\0');
    if (size == 0) return out;
    const ssize_t got = call(out.data(), out.size());
    if (got < 0 && errno == ERANGE) continue;
    if (got < 0) return Errno::last();
    out.resize(static_cast<size_t>(got));
    return out;
  }
}

}  // namespace

/// The host's object that has the node's attributes. `user`: the content of a user attribute is
/// asked for, which is read as that of the file. xattr(7)
Result<std::string> ViewTree::host_for_xattr(ServedId id, bool user) {
  TRY_ASSIGN(const Place place, place_of(id));
  TRY_ASSIGN(Found found, look(place));
  if (user && found.attr_virtual) {
    TRY_ASSIGN(const Attr attr, place.fs().getattr(place.path));
    const auto may = place.fs().permits(place.path, R_OK, caller_);
    const bool unknown = may.error() == ENOSYS;
    if (unknown ? !may_read(attr, caller_) : !may) return Errno(EACCES);
  }
  if (!found.meta_host.empty()) return std::move(found.meta_host);
  if (found.host.empty()) return Errno(EOPNOTSUPP);
  return std::move(found.host);
}

Result<std::string> ViewTree::getxattr(ServedId id, const std::string& name) {
  if (const auto place = place_of(id); place && place->fs().own_meta()) {
    auto own = place->fs().getxattr(place->path, name, caller_);
    if (!(own.error() == ENOSYS)) return own;
  }
  TRY_ASSIGN(const std::string host, host_for_xattr(id, name.starts_with("user.")));
  const LongPath path(host);
  return read_all(
      [&](char* out, size_t size) { return lgetxattr(path.c_str(), name.c_str(), out, size); });
}

Result<std::string> ViewTree::listxattr(ServedId id) {
  if (const auto place = place_of(id); place && place->fs().own_meta()) {
    const auto own = place->fs().listxattr(place->path, caller_);
    if (!own && !(own.error() == ENOSYS)) return own.error();
    std::string all;
    for (const std::string& name : own ? *own : std::vector<std::string>()) {
      all.append(name.c_str(), name.size() + 1);
    }
    if (own) return all;
  }
  TRY_ASSIGN(const std::string host, host_for_xattr(id, false));
  const LongPath path(host);
  return read_all([&](char* out, size_t size) { return llistxattr(path.c_str(), out, size); });
}

Result<void> ViewTree::setxattr(ServedId id, const std::string& name, std::string_view value,
                                int flags) {
  TRY_ASSIGN(const Place place, place_of(id));
  TRY(place.fs().setxattr(place.path, name, value, flags, caller_));
  refresh(nodes_.find(id));
  return {};
}

Result<void> ViewTree::removexattr(ServedId id, const std::string& name) {
  TRY_ASSIGN(const Place place, place_of(id));
  TRY(place.fs().removexattr(place.path, name, caller_));
  refresh(nodes_.find(id));
  return {};
}

}  // namespace viewsh
