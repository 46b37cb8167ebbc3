#include "bind.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>

#include "host_ops.h"

namespace viewsh {
namespace {

/// A tree shown at another place, read-only if asked for.
class BindFs final : public FileSystem {
 public:
  BindFs(std::shared_ptr<FileSystem> inner, bool ro, std::string type)
      : inner_(std::move(inner)), ro_(ro), type_(std::move(type)) {}

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override {
    Result<Found> found = inner_->resolve(base, rest, flags, caller);
    if (found && ro_) found->in_place = false;
    return found;
  }
  Result<Attr> getattr(const std::string& path) override { return inner_->getattr(path); }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    return inner_->list(path);
  }
  std::optional<std::string> reverse(const std::string& host) override {
    return inner_->reverse(host);
  }
  bool fix_attr(Attr* attr) override { return inner_->fix_attr(attr); }
  bool mark_attr(AttrMarks* marks) override { return inner_->mark_attr(marks); }
  bool waits(std::string_view path, bool below) const override {
    return inner_->waits(path, below);
  }
  bool waits_for(const Attr& object) const override { return inner_->waits_for(object); }

  std::string_view type() const override { return type_.empty() ? inner_->type() : type_; }
  bool transparent() const override { return inner_->transparent(); }
  bool read_only() const override { return ro_ || inner_->read_only(); }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string& path, const OpenPlan& plan, bool success) override {
    inner_->opened(path, plan, success);
  }

  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override {
    return ro_ ? refuse_new(path) : inner_->mkdir(path, mode, caller);
  }
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override {
    return ro_ ? refuse_new(path) : inner_->mknod(path, mode, dev, caller);
  }
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override {
    return ro_ ? refuse_new(path) : inner_->symlink(path, target, caller);
  }
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override {
    return ro_ ? refuse_new(to) : inner_->link(from, to, caller);
  }
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override {
    return ro_ ? refuse_new(to) : inner_->link_host(host_fd, to, caller);
  }
  Result<void> unlink(const std::string& path, const Caller& caller) override {
    return ro_ ? Errno(EROFS) : inner_->unlink(path, caller);
  }
  Result<void> rmdir(const std::string& path, const Caller& caller) override {
    return ro_ ? Errno(EROFS) : inner_->rmdir(path, caller);
  }
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override {
    return ro_ ? Errno(EROFS) : inner_->rename(from, to, flags, caller);
  }
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override {
    return ro_ ? refuse_setattr(path, set) : inner_->setattr(path, set, caller);
  }
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override {
    return ro_ ? Errno(EROFS) : inner_->setxattr(path, name, value, flags, caller);
  }
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override {
    return ro_ ? Errno(EROFS) : inner_->removexattr(path, name, caller);
  }
  bool own_meta() const override { return inner_->own_meta(); }
  Result<FileFlags> getflags(const std::string& path) override { return inner_->getflags(path); }
  Result<void> setflags(const std::string& path, const FileFlags& set,
                        const Caller& caller) override {
    return ro_ ? Errno(EROFS) : inner_->setflags(path, set, caller);
  }
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override {
    return inner_->getxattr(path, name, caller);
  }
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override {
    return inner_->listxattr(path, caller);
  }
  Result<void> permits(const std::string& path, int want, const Caller& caller) override {
    return inner_->permits(path, want, caller);
  }
  Result<struct statfs> statfs(const std::string& path) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    TRY_ASSIGN(std::shared_ptr<FileSystem> tree, inner_->subtree(path));
    return std::shared_ptr<FileSystem>(std::make_shared<BindFs>(std::move(tree), ro_, type_));
  }
  Result<std::string> watch(const std::string& path, const Caller& caller) override {
    return inner_->watch(path, caller);
  }
  uint64_t reserve(uint64_t bytes) override { return inner_->reserve(bytes); }
  bool quota() const override { return !ro_ && inner_->quota(); }
  /// What a bind shows is not its own: it ends with the mount that it belongs to.
  Result<void> shutdown() override {
    if (type_ == "bind") return {};
    return inner_->shutdown();
  }

 private:
  /// filename_create() of fs/namei.c finds the name before it asks whether it may write.
  Result<void> refuse_new(const std::string& path) {
    return inner_->getattr(path) ? Errno(EEXIST) : Errno(EROFS);
  }
  /// vfs_truncate() of fs/open.c: the type first.
  Result<void> refuse_setattr(const std::string& path, const SetAttr& set) {
    if (set.size) {
      TRY_ASSIGN(Attr attr, inner_->getattr(path));
      if (host_ops::type_of(attr) == NodeType::kDirectory) return Errno(EISDIR);
      if (host_ops::type_of(attr) != NodeType::kRegular) return Errno(EINVAL);
    }
    return Errno(EROFS);
  }

  std::shared_ptr<FileSystem> inner_;
  bool ro_;
  std::string type_;
};

Result<OpenPlan> plan_inner(FileSystem& fs, const std::string& path, const OpenHow& how,
                            const Caller& caller) {
  Result<OpenPlan> plan = fs.plan_open(path, how, caller);
  if (!plan && plan.error() == ENOSYS) return plan_on_host(fs, path, how, caller);
  return plan;
}

/// open(2) on a read-only mount. Devices, FIFOs and sockets may be written to: may_open() and
/// sb_permission() of fs/namei.c ask for files, directories and links only.
Result<OpenPlan> BindFs::plan_open(const std::string& path, const OpenHow& how,
                                   const Caller& caller) {
  if (!ro_ || (how.flags & O_PATH) != 0) return plan_inner(*inner_, path, how, caller);
  if ((how.flags & O_TMPFILE) == O_TMPFILE) return Errno(EROFS);
  bool creates = (how.flags & O_CREAT) != 0;
  bool writes = (how.flags & O_ACCMODE) != O_RDONLY || (how.flags & O_TRUNC) != 0;
  Result<Attr> attr = inner_->getattr(path);
  if (!attr) return attr.error() == ENOENT && creates ? Errno(EROFS) : attr.error();
  if (creates && (how.flags & O_EXCL) != 0) return Errno(EEXIST);
  NodeType node = host_ops::type_of(*attr);
  if (node == NodeType::kDirectory && (writes || creates)) return Errno(EISDIR);
  if (node == NodeType::kRegular && writes) return Errno(EROFS);
  OpenHow plain = how;
  plain.flags &= ~(O_CREAT | O_EXCL | O_TRUNC);
  return plan_inner(*inner_, path, plain, caller);
}

Result<struct statfs> BindFs::statfs(const std::string& path) {
  Result<struct statfs> answer = inner_->statfs(path);
  if (!ro_) return answer;
  if (!answer && answer.error() == ENOSYS) {
    ResolveFlags flags{.follow_last = false, .want_exists = true};
    TRY_ASSIGN(Found found, inner_->resolve("", path, flags, host_ops::own_caller()));
    if (found.kind != Found::Kind::kNode) return Errno(ENOENT);
    struct statfs buffer;
    TRY(from_libc(::statfs(LongPath(found.host).c_str(), &buffer)));
    answer = buffer;
  }
  if (answer) answer->f_flags |= ST_RDONLY;
  return answer;
}

constexpr std::array<std::string_view, 24> kGenericOptions = {
    "rw",       "ro",         "defaults",    "nosuid",   "suid",      "nodev",
    "dev",      "noexec",     "exec",        "sync",     "async",     "dirsync",
    "noatime",  "atime",      "nodiratime",  "diratime", "relatime",  "norelatime",
    "lazytime", "nolazytime", "strictatime", "silent",   "symfollow", "nosymfollow"};

}  // namespace

std::shared_ptr<FileSystem> make_read_only(std::shared_ptr<FileSystem> inner, std::string type) {
  return std::make_shared<BindFs>(std::move(inner), true, std::move(type));
}

Result<OpenPlan> plan_on_host(FileSystem& fs, const std::string& path, const OpenHow& how,
                              const Caller& caller) {
  ResolveFlags flags{.follow_last = false, .want_exists = true};
  TRY_ASSIGN(Found found, fs.resolve("", path, flags, caller));
  if (found.kind == Found::Kind::kLink) return Errno(ELOOP);
  if (found.kind == Found::Kind::kMissing) {
    if ((how.flags & O_CREAT) == 0) return Errno(ENOENT);
    if (!found.in_place) return Errno(EROFS);
  }
  return OpenPlan{found.host, how.flags, how.mode, false};
}

std::shared_ptr<FileSystem> open_source(const MountRequest& request, const std::string& source,
                                        MountError* error) {
  size_t start = source.find_first_not_of('/');
  std::string path = start == std::string::npos ? std::string() : source.substr(start);
  while (!path.empty() && path.back() == '/') path.pop_back();
  Result<std::shared_ptr<FileSystem>> tree = request.below->subtree(path);
  if (tree) return *tree;
  *error = {tree.error(), source + ": " + tree.error().message()};
  return nullptr;
}

bool check_options(const MountRequest& request, std::initializer_list<std::string_view> known,
                   MountError* error) {
  auto has = [](const auto& list, std::string_view key) {
    return std::find(list.begin(), list.end(), key) != list.end();
  };
  for (const auto& [key, value] : request.options) {
    if (has(known, key)) continue;
    if (has(kGenericOptions, key) && value.empty()) continue;
    *error = {Errno(EINVAL), request.type + ": unknown option '" + key + "'"};
    return false;
  }
  return true;
}

std::shared_ptr<FileSystem> mount_bind(const MountRequest& request, Host&, MountError* error) {
  if (!check_options(request, {"bind", "rbind"}, error)) return nullptr;
  if (request.sources.size() != 1) {
    *error = {Errno(EINVAL), "bind: one source is needed"};
    return nullptr;
  }
  std::shared_ptr<FileSystem> tree = open_source(request, request.sources[0], error);
  if (tree == nullptr) return nullptr;
  return std::make_shared<BindFs>(std::move(tree), request.options.count("ro") > 0, "bind");
}

}  // namespace viewsh
