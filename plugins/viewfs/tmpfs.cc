#include "tmpfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>

#include "bind.h"
#include "host_ops.h"
#include "subtree.h"
#include "tmpfs_options.h"
#include "tmpfs_walk.h"

namespace viewsh {
namespace {

using host_ops::join;

constexpr uint64_t kPage = 4096;

/// A private host directory and its limits. With nr_inodes= it is not transparent, since new names
/// then have to be counted; else every task changes the host directory itself.
class TmpFs final : public FileSystem, public std::enable_shared_from_this<TmpFs> {
 public:
  TmpFs(std::string scratch, std::string root, UniqueFd fd, const TmpfsOptions& options)
      : scratch_(std::move(scratch)),
        root_(std::move(root)),
        fd_(std::move(fd)),
        options_(options) {}
  ~TmpFs() override { (void)shutdown(); }
  TmpFs(const TmpFs&) = delete;
  TmpFs& operator=(const TmpFs&) = delete;

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller&) override {
    return walk_host_directory(fd_.get(), root_, base, rest, flags);
  }
  Result<Attr> getattr(const std::string& path) override { return host_ops::get_attr(at(path)); }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    return host_ops::list_dir(at(path));
  }
  std::optional<std::string> reverse(const std::string& host) override;
  bool fix_attr(Attr*) override { return false; }
  bool mark_attr(AttrMarks*) override { return true; }

  std::string_view type() const override { return "tmpfs"; }
  bool transparent() const override { return options_.inodes == 0; }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string&, const OpenPlan&, bool) override {}

  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override {
    TRY(count_new(path));
    return host_ops::make_dir(at(path), mode, caller.umask);
  }
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override {
    TRY(count_new(path));
    return host_ops::make_node(at(path), mode, dev, caller.umask);
  }
  Result<void> symlink(const std::string& path, const std::string& target, const Caller&) override {
    TRY(count_new(path));
    return host_ops::make_symlink(at(path), target);
  }
  Result<void> link(const std::string& from, const std::string& to, const Caller&) override {
    return host_ops::make_link(at(from), at(to));
  }
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller&) override {
    return host_ops::link_open_file(host_fd, at(to));
  }
  Result<void> unlink(const std::string& path, const Caller&) override {
    return from_libc(::unlink(LongPath(at(path)).c_str()));
  }
  Result<void> rmdir(const std::string& path, const Caller&) override {
    return path.empty() ? Errno(EBUSY) : from_libc(::rmdir(LongPath(at(path)).c_str()));
  }
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller&) override {
    if (from.empty() || to.empty()) return Errno(EBUSY);
    return host_ops::rename(at(from), at(to), flags);
  }
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller&) override {
    return host_ops::set_attr(at(path), set);
  }
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller&) override {
    return host_ops::set_xattr(at(path), name, value, flags);
  }
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller&) override {
    return host_ops::remove_xattr(at(path), name);
  }
  Result<struct statfs> statfs(const std::string& path) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    if (path.empty()) return std::shared_ptr<FileSystem>(shared_from_this());
    TRY(getattr(path));
    return make_subtree(shared_from_this(), path);
  }
  Result<std::string> watch(const std::string& path, const Caller&) override { return at(path); }
  uint64_t reserve(uint64_t bytes) override;
  bool quota() const override { return options_.size != 0; }
  Result<void> shutdown() override;

 private:
  std::string at(const std::string& path) const { return join(root_, path); }
  Result<void> count_new(const std::string& path);

  std::string scratch_;
  std::string root_;
  UniqueFd fd_;
  TmpfsOptions options_;
  uint64_t used_ = 0;    ///< at least the bytes in use, see reserve()
  uint64_t inodes_ = 1;  ///< at least the inodes in use, see count_new()
};

std::optional<std::string> TmpFs::reverse(const std::string& host) {
  if (host == root_) return std::string();
  if (host.size() <= root_.size() + 1 || host.compare(0, root_.size(), root_) != 0 ||
      host[root_.size()] != '/')
    return std::nullopt;
  return host.substr(root_.size() + 1);
}

Result<OpenPlan> TmpFs::plan_open(const std::string& path, const OpenHow& how,
                                  const Caller& caller) {
  if ((how.flags & O_TMPFILE) == O_TMPFILE) {
    TRY(count_new(""));
  } else if ((how.flags & O_CREAT) != 0 && !getattr(path)) {
    TRY(count_new(path));
  }
  return plan_on_host(*this, path, how, caller);
}

/// Counts a name that is about to be made: an upper bound, like the bytes. An empty path is a file
/// without a name. A name that is there is the operation's own error. ENOSPC.
Result<void> TmpFs::count_new(const std::string& path) {
  if (options_.inodes == 0 || (!path.empty() && getattr(path))) return {};
  if (inodes_ >= options_.inodes) inodes_ = 1 + host_ops::measure_tree(root_).inodes;
  if (inodes_ >= options_.inodes) return Errno(ENOSPC);
  ++inodes_;
  return {};
}

/// `used_` is an upper bound: each write is charged with every page that it may touch, new or not.
/// Only when the bound is met is the tree measured, so a file system that stays half empty is
/// measured now and then, and one that is full at each write.
uint64_t TmpFs::reserve(uint64_t bytes) {
  if (options_.size == 0 || bytes == 0) return bytes;
  uint64_t wanted = std::min(bytes, UINT64_MAX / 2);
  uint64_t charge = (wanted + kPage - 1) / kPage * kPage + (wanted > 1 ? kPage : 0);
  if (charge <= options_.size - std::min(used_, options_.size)) {
    used_ += charge;
    return bytes;
  }
  used_ = host_ops::measure_tree(root_).bytes;
  uint64_t room = options_.size - std::min(used_, options_.size);
  used_ += std::min(charge, room);
  return std::min(bytes, room);
}

Result<struct statfs> TmpFs::statfs(const std::string&) {
  struct statfs host;
  TRY(from_libc(::fstatfs(fd_.get(), &host)));
  struct statfs out = host;
  host_ops::Usage usage = host_ops::measure_tree(root_);
  uint64_t size = options_.size != 0 ? options_.size : memory_size() / 2;
  uint64_t room = size - std::min(usage.bytes, size);
  uint64_t host_room = host.f_bavail * static_cast<uint64_t>(host.f_bsize);
  uint64_t inodes = options_.inodes != 0 ? options_.inodes : host.f_files;
  out.f_type = TMPFS_MAGIC;
  out.f_bsize = static_cast<long>(kPage);
  out.f_frsize = static_cast<long>(kPage);
  out.f_blocks = size / kPage;
  out.f_bfree = std::min(room, host_room) / kPage;
  out.f_bavail = out.f_bfree;
  out.f_files = inodes;
  out.f_ffree = inodes - std::min<uint64_t>(inodes, 1 + usage.inodes);
  return out;
}

Result<void> TmpFs::shutdown() {
  if (scratch_.empty()) return {};
  fd_.reset();
  return host_ops::remove_tree(std::exchange(scratch_, std::string()));
}

}  // namespace

std::shared_ptr<FileSystem> mount_tmpfs(const MountRequest& request, Host& host,
                                        MountError* error) {
  if (!check_options(request,
                     {"size", "nr_blocks", "nr_inodes", "mode", "uid", "gid", "huge", "mpol",
                      "noswap", "inode32", "inode64"},
                     error))
    return nullptr;
  TmpfsOptions options;
  std::string refused = parse_tmpfs_options(request.options, &options, host.credentials());
  if (!refused.empty()) {
    *error = {Errno(EINVAL), "tmpfs: " + refused};
    return nullptr;
  }
  Result<std::string> scratch = host.scratch_dir("tmpfs", true);
  if (!scratch) {
    *error = {scratch.error(), "tmpfs: no private directory: " + scratch.error().message()};
    return nullptr;
  }
  // The root of the file system has a mode of its own; the directory round it stays private.
  std::string root = *scratch + "/root";
  UniqueFd fd;
  if (::mkdir(root.c_str(), 0700) == 0 && ::chmod(root.c_str(), options.mode) == 0)
    fd.reset(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    Errno why = Errno::last();
    *error = {why, "tmpfs: " + root + ": " + why.message()};
    (void)host_ops::remove_tree(*scratch);  // the first error is the one that is told
    return nullptr;
  }
  std::shared_ptr<FileSystem> fs =
      std::make_shared<TmpFs>(*scratch, std::move(root), std::move(fd), options);
  return options.read_only ? make_read_only(std::move(fs), "") : fs;
}

}  // namespace viewsh
