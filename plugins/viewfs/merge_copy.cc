#include "merge_copy.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host_ops.h"

namespace viewsh {
namespace {

using host_ops::join;
using host_ops::parent_of;

/// Modes are copied, not made: no umask.
Caller plain_caller() {
  Caller caller = host_ops::own_caller();
  caller.umask = 0;
  return caller;
}

timespec time_of(const struct statx_timestamp& stamp) {
  timespec out{};
  out.tv_sec = stamp.tv_sec;
  out.tv_nsec = static_cast<long>(stamp.tv_nsec);
  return out;
}

const std::string& xattr_host(const Found& found) {
  return found.meta_host.empty() ? found.host : found.meta_host;
}

}  // namespace

Result<void> MergeCopy::same_attributes(const std::string& path, const Attr& attr) {
  FileSystem& first = tree_.source(0);
  TRY_ASSIGN(Attr made, first.getattr(path));
  mode_t mode = attr.stx_mode & 07777;
  if (made.stx_uid != attr.stx_uid || made.stx_gid != attr.stx_gid) {
    SetAttr owner;
    owner.uid = attr.stx_uid;
    owner.gid = attr.stx_gid;
    // Another one's file: it becomes ours, as with cp(1), and loses what its owner's bits allowed.
    if (!first.setattr(path, owner, plain_caller())) mode &= ~static_cast<mode_t>(06000);
  }
  SetAttr rest;
  if (!S_ISLNK(attr.stx_mode)) rest.mode = mode;
  rest.atime = time_of(attr.stx_atime);
  rest.mtime = time_of(attr.stx_mtime);
  return first.setattr(path, rest, plain_caller());
}

Result<void> MergeCopy::one_directory(const std::string& path, const MergeHit& hit) {
  FileSystem& first = tree_.source(0);
  TRY_ASSIGN(Attr attr, tree_.getattr(path, hit));
  if (host_ops::type_of(attr) != NodeType::kDirectory) return Errno(ENOTDIR);
  TRY(first.mkdir(path, (attr.stx_mode & 07777) | 0700, plain_caller()));
  ResolveFlags flags{.follow_last = false, .want_exists = true};
  TRY_ASSIGN(Found made, first.resolve("", path, flags, plain_caller()));
  TRY(host_ops::copy_xattrs(xattr_host(hit.found), xattr_host(made)));
  TRY(same_attributes(path, attr));
  TRY_ASSIGN(Attr now, first.getattr(path));
  tree_.keep_identity(now, attr);
  return {};
}

Result<void> MergeCopy::directory(const std::string& path) {
  std::vector<std::string> wanted;
  for (std::string at = path; !at.empty(); at = parent_of(at)) {
    if (tree_.source(0).getattr(at)) break;
    wanted.push_back(at);
  }
  for (auto at = wanted.rbegin(); at != wanted.rend(); ++at) {
    TRY_ASSIGN(MergeHit hit, tree_.node(*at));
    if (hit.source != 0) TRY(one_directory(*at, hit));
  }
  return {};
}

Result<void> MergeCopy::fill(const std::string& temp, const std::string& path, const MergeHit& hit,
                             const Attr& attr, bool content) {
  FileSystem& first = tree_.source(0);
  OpenHow make{.flags = O_WRONLY | O_CREAT | O_EXCL, .mode = 0600};
  TRY_ASSIGN(OpenPlan to, first.plan_open(temp, make, plain_caller()));
  UniqueFd target(::open(LongPath(to.host).c_str(), to.flags | O_CLOEXEC | O_NOFOLLOW, to.mode));
  Errno failed = Errno::last();
  if (to.notify) first.opened(temp, to, target.valid());
  if (!target.valid()) return failed;
  if (content) {
    uint64_t bytes = attr.stx_blocks * 512;
    if (first.quota() && first.reserve(bytes) < bytes) return Errno(ENOSPC);
    OpenHow read{.flags = O_RDONLY};
    FileSystem& other = tree_.source(hit.source);
    TRY_ASSIGN(OpenPlan from, other.plan_open(path, read, plain_caller()));
    UniqueFd source(::open(LongPath(from.host).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    failed = Errno::last();
    if (from.notify) other.opened(path, from, source.valid());
    if (!source.valid()) return failed;
    TRY(host_ops::copy_content(source.get(), target.get()));
  }
  TRY(host_ops::copy_xattrs(xattr_host(hit.found), to.host));
  return same_attributes(temp, attr);
}

Result<void> MergeCopy::file(const std::string& path, const MergeHit& hit, const Attr& attr,
                             bool content) {
  FileSystem& first = tree_.source(0);
  std::string temp = join(parent_of(path), ".viewsh-copy-" + std::to_string(::getpid()) + "-" +
                                               std::to_string(counter_++));
  Result<void> done = fill(temp, path, hit, attr, content);
  if (done) done = first.rename(temp, path, 0, plain_caller());
  // It may not be there; the error that matters is the one above.
  if (!done) (void)first.unlink(temp, plain_caller());
  return done;
}

Result<void> MergeCopy::special(const std::string& path, const MergeHit& hit, const Attr& attr) {
  FileSystem& first = tree_.source(0);
  if (S_ISLNK(attr.stx_mode)) {
    TRY_ASSIGN(std::string target, host_ops::read_link(hit.found.host));
    TRY(first.symlink(path, target, plain_caller()));
  } else {
    dev_t dev = makedev(attr.stx_rdev_major, attr.stx_rdev_minor);
    TRY(first.mknod(path, attr.stx_mode, dev, plain_caller()));
  }
  return same_attributes(path, attr);
}

Result<void> MergeCopy::node(const std::string& path, bool content) {
  TRY_ASSIGN(MergeHit hit, tree_.node(path));
  if (hit.source == 0) return {};
  if (hit.found.type == NodeType::kDirectory) return directory(path);
  TRY_ASSIGN(Attr attr, tree_.getattr(path, hit));
  TRY(directory(parent_of(path)));
  if (hit.found.type == NodeType::kRegular) {
    TRY(file(path, hit, attr, content));
  } else {
    TRY(special(path, hit, attr));
  }
  TRY_ASSIGN(Attr now, tree_.source(0).getattr(path));
  tree_.keep_identity(now, attr);
  return {};
}

}  // namespace viewsh
