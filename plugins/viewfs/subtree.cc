#include "subtree.h"

#include "cow_index.h"

namespace viewsh {
namespace {

using viewfs::join;

class Subtree final : public FileSystem {
 public:
  Subtree(std::shared_ptr<FileSystem> fs, std::string prefix)
      : fs_(std::move(fs)), prefix_(std::move(prefix)) {}

  std::string_view type() const override { return fs_->type(); }
  bool transparent() const override { return fs_->transparent(); }
  bool read_only() const override { return fs_->read_only(); }
  bool quota() const override { return fs_->quota(); }
  uint64_t reserve(uint64_t bytes) override { return fs_->reserve(bytes); }

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override {
    return fs_->resolve(full(base), rest, flags, caller);
  }
  Result<Attr> getattr(const std::string& path) override { return fs_->getattr(full(path)); }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    return fs_->list(full(path));
  }
  std::optional<std::string> reverse(const std::string& host) override {
    return below(fs_->reverse(host));
  }
  std::optional<std::string> own_path(const std::string& host, const struct stat& object) override {
    return below(fs_->own_path(host, object));
  }
  std::optional<std::string> shown_at(const Attr& object) override {
    return below(fs_->shown_at(object));
  }
  bool fix_attr(Attr* attr) override { return fs_->fix_attr(attr); }
  bool mark_attr(AttrMarks* marks) override { return fs_->mark_attr(marks); }
  bool mark_names(NameMarks* names) override { return prefix_.empty() && fs_->mark_names(names); }
  bool shows_host(const std::string& path) override { return fs_->shows_host(path); }
  bool waits(std::string_view path, bool below) const override {
    return fs_->waits(join(prefix_, path), below);
  }
  bool waits_for(const Attr& object) const override { return fs_->waits_for(object); }
  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override {
    return fs_->plan_open(full(path), how, caller);
  }
  void opened(const std::string& path, const OpenPlan& plan, bool success) override {
    fs_->opened(full(path), plan, success);
  }
  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override {
    return fs_->mkdir(full(path), mode, caller);
  }
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override {
    return fs_->mknod(full(path), mode, dev, caller);
  }
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override {
    return fs_->symlink(full(path), target, caller);
  }
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override {
    return fs_->link(full(from), full(to), caller);
  }
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override {
    return fs_->link_host(host_fd, full(to), caller);
  }
  Result<void> unlink(const std::string& path, const Caller& caller) override {
    return fs_->unlink(full(path), caller);
  }
  Result<void> rmdir(const std::string& path, const Caller& caller) override {
    return fs_->rmdir(full(path), caller);
  }
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override {
    return fs_->rename(full(from), full(to), flags, caller);
  }
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override {
    return fs_->setattr(full(path), set, caller);
  }
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override {
    return fs_->setxattr(full(path), name, value, flags, caller);
  }
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override {
    return fs_->removexattr(full(path), name, caller);
  }
  bool own_meta() const override { return fs_->own_meta(); }
  Result<FileFlags> getflags(const std::string& path) override { return fs_->getflags(full(path)); }
  Result<void> setflags(const std::string& path, const FileFlags& set,
                        const Caller& caller) override {
    return fs_->setflags(full(path), set, caller);
  }
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override {
    return fs_->getxattr(full(path), name, caller);
  }
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override {
    return fs_->listxattr(full(path), caller);
  }
  Result<void> permits(const std::string& path, int want, const Caller& caller) override {
    return fs_->permits(full(path), want, caller);
  }
  Result<struct statfs> statfs(const std::string& path) override { return fs_->statfs(full(path)); }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    return make_subtree(fs_, full(path));
  }
  Result<std::string> watch(const std::string& path, const Caller& caller) override {
    return fs_->watch(full(path), caller);
  }

 private:
  std::optional<std::string> below(std::optional<std::string> path) const {
    if (!path || prefix_.empty() || *path == prefix_) return path ? strip(*path) : path;
    if (path->rfind(prefix_ + "/", 0) != 0) return {};
    return strip(*path);
  }
  std::string full(const std::string& path) const { return join(prefix_, path); }
  std::string strip(const std::string& path) const {
    if (prefix_.empty()) return path;
    return path.size() == prefix_.size() ? std::string() : path.substr(prefix_.size() + 1);
  }

  std::shared_ptr<FileSystem> fs_;
  std::string prefix_;
};

}  // namespace

std::shared_ptr<FileSystem> make_subtree(std::shared_ptr<FileSystem> fs, std::string prefix) {
  if (prefix.empty()) return fs;
  return std::make_shared<Subtree>(std::move(fs), std::move(prefix));
}

}  // namespace viewsh
