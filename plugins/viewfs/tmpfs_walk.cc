#include "tmpfs_walk.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "host_ops.h"

namespace viewsh {
namespace {

using host_ops::join;

UniqueFd look_beneath(int at, std::string_view path) {
  return host_ops::open_beneath(at, path, O_PATH | O_NOFOLLOW);
}

Result<NodeType> type_of_fd(int fd) {
  struct stat st;
  if (::fstat(fd, &st) < 0) return Errno::last();
  return type_of_mode(st.st_mode);
}

Result<std::string> link_target(int fd) {
  char buffer[PATH_MAX];
  ssize_t length = ::readlinkat(fd, "", buffer, sizeof buffer);
  if (length < 0) return Errno::last();
  return std::string(buffer, static_cast<size_t>(length));
}

Result<Found> node(int fd, size_t consumed, std::string host, bool follow) {
  Found found;
  TRY_ASSIGN(found.type, type_of_fd(fd));
  found.exists = true;
  found.in_place = true;
  found.consumed = consumed;
  found.host = std::move(host);
  if (found.type == NodeType::kSymlink && follow) {
    found.kind = Found::Kind::kLink;
    TRY_ASSIGN(found.target, link_target(fd));
  }
  return found;
}

/// The walk where openat2() met a link or an absent name: finds out which component it was.
Result<Found> walk_slowly(int base_fd, const std::string& base_host, std::string_view rest,
                          ResolveFlags flags) {
  UniqueFd current(::dup(base_fd));
  if (!current.valid()) return Errno::last();
  for (size_t start = 0;;) {
    size_t slash = rest.find('/', start);
    size_t end = slash == std::string_view::npos ? rest.size() : slash;
    bool last = end == rest.size();
    std::string name(rest.substr(start, end - start));
    std::string host = join(base_host, rest.substr(0, end));
    UniqueFd next = look_beneath(current.get(), name);
    if (!next.valid()) {
      if (errno != ENOENT || !last) return Errno::last();
      Found found;
      found.kind = Found::Kind::kMissing;
      found.in_place = true;
      found.consumed = end;
      found.host = std::move(host);
      return found;
    }
    Result<Found> found = node(next.get(), end, std::move(host), !last || flags.follow_last);
    if (!found || last || found->kind == Found::Kind::kLink) return found;
    if (found->type != NodeType::kDirectory) return Errno(ENOTDIR);
    current = std::move(next);
    start = end + 1;
  }
}

}  // namespace

Result<Found> walk_host_directory(int root_fd, const std::string& root, const std::string& base,
                                  std::string_view rest, ResolveFlags flags) {
  std::string path = join(base, rest);
  UniqueFd fd = look_beneath(root_fd, path);
  if (fd.valid()) {
    return node(fd.get(), rest.size(), join(root, path), !rest.empty() && flags.follow_last);
  }
  if ((errno != ELOOP && errno != ENOENT) || rest.empty()) return Errno::last();
  UniqueFd base_fd = look_beneath(root_fd, base);
  if (!base_fd.valid()) return Errno::last();
  return walk_slowly(base_fd.get(), join(root, base), rest, flags);
}

}  // namespace viewsh
