#include "merge.h"

#include <fcntl.h>
#include <unistd.h>

#include <unordered_map>

#include "bind.h"
#include "host_ops.h"
#include "merge_copy.h"
#include "merge_tree.h"
#include "subtree.h"

namespace viewsh {
namespace {

using host_ops::parent_of;

/// A union with a first source that takes all changes. merge.h says what it can't do.
class MergeFs final : public FileSystem, public std::enable_shared_from_this<MergeFs> {
 public:
  MergeFs(std::vector<std::shared_ptr<FileSystem>> sources, bool writes)
      : tree_(std::move(sources)), copy_(tree_), writes_(writes) {}

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override;
  Result<Attr> getattr(const std::string& path) override {
    TRY_ASSIGN(MergeHit hit, tree_.node(path));
    return tree_.getattr(path, hit);
  }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    TRY_ASSIGN(MergeHit hit, tree_.node(path));
    return tree_.list(path, hit);
  }
  std::optional<std::string> reverse(const std::string& host) override {
    return tree_.reverse(host);
  }
  std::optional<std::string> own_path(const std::string& host, const struct stat& object) override {
    return read_only() ? std::nullopt : first().own_path(host, object);
  }
  bool fix_attr(Attr* attr) override { return tree_.fix_attr(attr); }
  bool waits(std::string_view path, bool below) const override { return tree_.waits(path, below); }
  bool waits_for(const Attr& object) const override { return tree_.waits_for(object); }

  std::string_view type() const override { return "merge"; }
  bool read_only() const override { return first().read_only(); }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string& path, const OpenPlan& plan, bool success) override {
    if ((plan.flags & O_TMPFILE) == O_TMPFILE) return first().opened(path, plan, success);
    auto pending = pending_.extract(plan.host);
    if (!pending.empty()) tree_.source(pending.mapped()).opened(path, plan, success);
  }

  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override {
    TRY(prepare_new(path, caller));
    return first().mkdir(path, mode, caller);
  }
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override {
    TRY(prepare_new(path, caller));
    return first().mknod(path, mode, dev, caller);
  }
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override {
    TRY(prepare_new(path, caller));
    return first().symlink(path, target, caller);
  }
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override;
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override {
    TRY(prepare_new(to, caller));
    return first().link_host(host_fd, to, caller);
  }
  Result<void> unlink(const std::string& path, const Caller& caller) override;
  Result<void> rmdir(const std::string& path, const Caller& caller) override;
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override;
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override;
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override {
    TRY(prepare_change(path, false, true, caller));
    return first().setxattr(path, name, value, flags, caller);
  }
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override {
    TRY(prepare_change(path, false, true, caller));
    return first().removexattr(path, name, caller);
  }
  Result<struct statfs> statfs(const std::string& path) override {
    TRY_ASSIGN(MergeHit hit, tree_.node(path));
    return tree_.source(hit.source).statfs(path);
  }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    if (path.empty()) return std::shared_ptr<FileSystem>(shared_from_this());
    TRY(tree_.node(path));
    return make_subtree(shared_from_this(), path);
  }
  Result<std::string> watch(const std::string& path, const Caller& caller) override {
    TRY_ASSIGN(MergeHit hit, tree_.node(path));
    // What changes in a directory changes in the first source's.
    if (hit.source == 0 || !writes_ || hit.found.type != NodeType::kDirectory)
      return tree_.source(hit.source).watch(path, caller);
    // Where it can't be made nothing can be made in it.
    return copy_.directory(path) ? first().watch(path, caller)
                                 : tree_.source(hit.source).watch(path, caller);
  }
  uint64_t reserve(uint64_t bytes) override { return first().reserve(bytes); }
  bool quota() const override { return first().quota(); }

 private:
  FileSystem& first() const { return tree_.source(0); }
  Result<void> may(const std::string& path, const MergeHit& hit, int what, const Caller& caller);
  Result<void> prepare_new(const std::string& path, const Caller& caller);
  Result<void> prepare_change(const std::string& path, bool owner_only, bool content,
                              const Caller& caller);
  Result<void> check_target(const std::string& to, bool directory, unsigned flags,
                            const Caller& caller);
  Result<void> removable(const std::string& path, const MergeHit& hit);
  Result<OpenPlan> plan_existing(const std::string& path, const MergeHit& hit, OpenHow how,
                                 const Caller& caller);
  Result<OpenPlan> plan_in(size_t source, const std::string& path, const OpenHow& how,
                           const Caller& caller);

  MergeTree tree_;
  MergeCopy copy_;
  bool writes_;                                      ///< somebody may change what it shows
  std::unordered_map<std::string, size_t> pending_;  ///< plans with notify: host path to source
};

/// May the caller do this with a node of a later source? EACCES.
Result<void> MergeFs::may(const std::string& path, const MergeHit& hit, int what,
                          const Caller& caller) {
  if (hit.found.attr_virtual) {
    // The host's object has other permissions, or isn't there yet.
    TRY_ASSIGN(Attr attr, tree_.getattr(path, hit));
    if (!host_ops::bits_allow(attr.stx_mode, attr.stx_uid, attr.stx_gid, what, caller))
      return Errno(EACCES);
    return {};
  }
  const LongPath host(hit.found.host);
  if (::faccessat(AT_FDCWD, host.c_str(), what, AT_EACCESS) == 0 || errno != EACCES) return {};
  return Errno(EACCES);
}

Result<Found> MergeFs::resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                               const Caller& caller) {
  TRY_ASSIGN(MergeHit hit, tree_.look(base, rest, flags, caller));
  Found found = std::move(hit.found);
  if (found.kind == Found::Kind::kMissing || hit.source != 0) found.in_place = false;
  if (found.kind != Found::Kind::kNode) return found;
  std::string path = host_ops::join(base, rest);
  if (hit.merged()) {
    found.list_virtual = true;
    found.attr_virtual = true;
    (void)tree_.getattr(path, hit);  // so that fix_attr() knows it
  } else if (hit.source == 0 && tree_.keeps_identities()) {
    // A file that was copied here shows the number that it had.
    Result<Attr> attr = first().getattr(path);
    if (attr && tree_.has_identity(*attr)) found.attr_virtual = true;
  }
  return found;
}

Result<OpenPlan> MergeFs::plan_in(size_t source, const std::string& path, const OpenHow& how,
                                  const Caller& caller) {
  TRY_ASSIGN(OpenPlan plan, tree_.source(source).plan_open(path, how, caller));
  const bool nameless = (how.flags & O_TMPFILE) == O_TMPFILE;
  if (plan.notify && !nameless) pending_[plan.host] = source;
  return plan;
}

Result<OpenPlan> MergeFs::plan_existing(const std::string& path, const MergeHit& hit, OpenHow how,
                                        const Caller& caller) {
  bool creates = (how.flags & O_CREAT) != 0;
  bool truncates = (how.flags & O_TRUNC) != 0;
  bool writes = (how.flags & O_ACCMODE) != O_RDONLY || truncates;
  if (creates && (how.flags & O_EXCL) != 0) return Errno(EEXIST);
  if (hit.found.type == NodeType::kDirectory && (writes || creates)) return Errno(EISDIR);
  how.flags &= ~(O_CREAT | O_EXCL);
  if (hit.source == 0 || !writes || hit.found.type != NodeType::kRegular)
    return plan_in(hit.source, path, how, caller);
  int wanted = (how.flags & O_ACCMODE) == O_RDWR ? R_OK | W_OK : W_OK;
  TRY(may(path, hit, wanted, caller));
  TRY(copy_.node(path, !truncates));
  return plan_in(0, path, how, caller);
}

Result<OpenPlan> MergeFs::plan_open(const std::string& path, const OpenHow& how,
                                    const Caller& caller) {
  TRY_ASSIGN(MergeHit hit, tree_.look(path));
  if ((how.flags & O_PATH) != 0) {
    if (!hit.is_node()) return Errno(ENOENT);
    return plan_in(hit.source, path, how, caller);
  }
  if ((how.flags & O_TMPFILE) == O_TMPFILE) {
    if (!hit.is_node()) return Errno(ENOENT);
    if (hit.source != 0) TRY(may(path, hit, W_OK | X_OK, caller));
    TRY(copy_.directory(path));
    return plan_in(0, path, how, caller);
  }
  if (hit.is_node()) return plan_existing(path, hit, how, caller);
  if ((how.flags & O_CREAT) == 0) return Errno(ENOENT);
  TRY(prepare_new(path, caller));
  return plan_in(0, path, how, caller);
}

/// A name is about to be made in the first source. EEXIST; EACCES where the shown directory of a
/// later source forbids it. The kernel checks a directory of the first source itself.
Result<void> MergeFs::prepare_new(const std::string& path, const Caller& caller) {
  if (path.empty()) return Errno(EEXIST);
  TRY_ASSIGN(MergeHit hit, tree_.look(path));
  if (hit.is_node()) return Errno(EEXIST);
  std::string parent = parent_of(path);
  TRY_ASSIGN(MergeHit above, tree_.node(parent));
  if (above.source == 0) return {};
  TRY(may(parent, above, W_OK | X_OK, caller));
  return copy_.directory(parent);
}

/// A node is about to be changed: copies it up if the caller may change it. EPERM, EACCES.
Result<void> MergeFs::prepare_change(const std::string& path, bool owner_only, bool content,
                                     const Caller& caller) {
  TRY_ASSIGN(MergeHit hit, tree_.node(path));
  if (hit.source == 0) return {};
  TRY_ASSIGN(Attr attr, tree_.getattr(path, hit));
  bool owner = attr.stx_uid == ::geteuid() || ::geteuid() == 0;
  if (owner_only && !owner) return Errno(EPERM);
  if (!owner) TRY(may(path, hit, W_OK, caller));
  return copy_.node(path, content);
}

Result<void> MergeFs::link(const std::string& from, const std::string& to, const Caller& caller) {
  TRY_ASSIGN(MergeHit source, tree_.node(from));
  if (source.found.type == NodeType::kDirectory) return Errno(EPERM);
  TRY(prepare_new(to, caller));
  TRY(copy_.node(from, true));
  return first().link(from, to, caller);
}

/// Without whiteouts only what the first source alone has can go. EROFS.
Result<void> MergeFs::removable(const std::string& path, const MergeHit& hit) {
  if (path.empty()) return Errno(EBUSY);
  if (hit.source != 0 || tree_.later_source_has(path)) return Errno(EROFS);
  return {};
}

Result<void> MergeFs::unlink(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(MergeHit hit, tree_.node(path));
  if (hit.found.type == NodeType::kDirectory) return Errno(EISDIR);
  TRY(removable(path, hit));
  TRY_ASSIGN(Attr attr, first().getattr(path));
  TRY(first().unlink(path, caller));
  if (attr.stx_nlink <= 1) tree_.forget_identity(attr);
  return {};
}

Result<void> MergeFs::rmdir(const std::string& path, const Caller& caller) {
  TRY_ASSIGN(MergeHit hit, tree_.node(path));
  if (hit.dirs.empty()) return Errno(ENOTDIR);
  if (hit.merged() || path.empty()) {
    TRY_ASSIGN(std::vector<DirEntry> entries, tree_.list(path, hit));
    if (!path.empty() && !entries.empty()) return Errno(ENOTEMPTY);
  }
  TRY(removable(path, hit));
  TRY_ASSIGN(Attr attr, first().getattr(path));
  TRY(first().rmdir(path, caller));
  tree_.forget_identity(attr);
  return {};
}

/// May `to` be replaced by a name of the first source? do_rename() of fs/namei.c.
Result<void> MergeFs::check_target(const std::string& to, bool directory, unsigned flags,
                                   const Caller& caller) {
  if (to.empty()) return Errno(EBUSY);
  TRY_ASSIGN(MergeHit hit, tree_.look(to));
  bool exchange = (flags & RENAME_EXCHANGE) != 0;
  if (!hit.is_node()) {
    if (exchange) return Errno(ENOENT);
    return prepare_new(to, caller);
  }
  if ((flags & RENAME_NOREPLACE) != 0) return Errno(EEXIST);
  bool onto_directory = hit.found.type == NodeType::kDirectory;
  if (exchange) {
    if (onto_directory && hit.merged()) return Errno(EXDEV);
    return removable(to, hit);
  }
  if (directory && !onto_directory) return Errno(ENOTDIR);
  if (!directory && onto_directory) return Errno(EISDIR);
  if (onto_directory) {
    TRY_ASSIGN(std::vector<DirEntry> entries, tree_.list(to, hit));
    if (!entries.empty()) return Errno(ENOTEMPTY);
  }
  if (hit.source != 0) {
    TRY_ASSIGN(MergeHit above, tree_.node(parent_of(to)));
    if (above.source != 0) TRY(may(parent_of(to), above, W_OK | X_OK, caller));
  }
  return copy_.directory(parent_of(to));
}

Result<void> MergeFs::rename(const std::string& from, const std::string& to, unsigned flags,
                             const Caller& caller) {
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
    return Errno(EINVAL);
  TRY_ASSIGN(MergeHit hit, tree_.node(from));
  if (from == to) return Errno((flags & RENAME_NOREPLACE) != 0 ? EEXIST : 0);
  bool directory = hit.found.type == NodeType::kDirectory;
  if (directory && hit.merged()) return Errno(EXDEV);
  TRY(removable(from, hit));
  TRY(check_target(to, directory, flags, caller));
  Result<Attr> replaced = first().getattr(to);
  TRY(first().rename(from, to, flags, caller));
  bool gone = replaced && (flags & RENAME_EXCHANGE) == 0 &&
              (replaced->stx_nlink <= 1 || S_ISDIR(replaced->stx_mode));
  if (gone && !first().getattr(from)) tree_.forget_identity(*replaced);
  return {};
}

Result<void> MergeFs::setattr(const std::string& path, const SetAttr& set, const Caller& caller) {
  TRY_ASSIGN(MergeHit hit, tree_.node(path));
  if (set.size) {
    if (hit.found.type == NodeType::kDirectory) return Errno(EISDIR);
    if (hit.found.type != NodeType::kRegular) return Errno(EINVAL);
    TRY(may(path, hit, W_OK, caller));
  }
  auto explicit_time = [](const std::optional<timespec>& time) {
    return time && time->tv_nsec != UTIME_NOW;
  };
  bool owner_only =
      set.mode || set.uid || set.gid || explicit_time(set.atime) || explicit_time(set.mtime);
  TRY(prepare_change(path, owner_only, !(set.size && *set.size == 0), caller));
  return first().setattr(path, set, caller);
}

}  // namespace

std::shared_ptr<FileSystem> mount_merge(const MountRequest& request, Host&, MountError* error) {
  if (!check_options(request, {}, error)) return nullptr;
  if (request.sources.empty()) {
    *error = {Errno(EINVAL), "merge: at least one source is needed"};
    return nullptr;
  }
  std::vector<std::shared_ptr<FileSystem>> sources;
  for (const std::string& source : request.sources) {
    std::shared_ptr<FileSystem> tree = open_source(request, source, error);
    if (tree == nullptr) return nullptr;
    Result<Attr> attr = tree->getattr("");
    if (!attr || host_ops::type_of(*attr) != NodeType::kDirectory) {
      Errno why = attr ? Errno(ENOTDIR) : attr.error();
      *error = {why, source + ": " + why.message()};
      return nullptr;
    }
    sources.push_back(std::move(tree));
  }
  bool writable = request.options.count("rw") > 0 && request.options.count("ro") == 0;
  std::shared_ptr<FileSystem> fs = std::make_shared<MergeFs>(std::move(sources), writable);
  return writable ? fs : make_read_only(std::move(fs), "");
}

}  // namespace viewsh
