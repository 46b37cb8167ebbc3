#include "hide.h"

#include <fcntl.h>

#include "bind.h"

namespace viewsh {
namespace {

/// A file system without even a root.
class HideFs final : public FileSystem {
 public:
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller&) override {
    if (!base.empty() || !rest.empty() || flags.want_exists) return Errno(ENOENT);
    // Who wants to make the name gets as far as being refused.
    Found found;
    found.kind = Found::Kind::kMissing;
    return found;
  }
  Result<Attr> getattr(const std::string&) override { return Errno(ENOENT); }
  Result<std::vector<DirEntry>> list(const std::string&) override { return Errno(ENOENT); }
  std::optional<std::string> reverse(const std::string&) override { return std::nullopt; }
  bool fix_attr(Attr*) override { return false; }
  bool mark_attr(AttrMarks*) override { return true; }

  std::string_view type() const override { return "hide"; }
  Result<OpenPlan> plan_open(const std::string&, const OpenHow& how, const Caller&) override {
    return (how.flags & O_CREAT) != 0 ? Errno(EACCES) : Errno(ENOENT);
  }
  void opened(const std::string&, const OpenPlan&, bool) override {}
  Result<void> mkdir(const std::string&, mode_t, const Caller&) override { return kRefused; }
  Result<void> mknod(const std::string&, mode_t, dev_t, const Caller&) override { return kRefused; }
  Result<void> symlink(const std::string&, const std::string&, const Caller&) override {
    return kRefused;
  }
  Result<void> link(const std::string&, const std::string&, const Caller&) override {
    return kRefused;
  }
  Result<void> link_host(const std::string&, const std::string&, const Caller&) override {
    return kRefused;
  }
  Result<void> unlink(const std::string&, const Caller&) override { return kRefused; }
  Result<void> rmdir(const std::string&, const Caller&) override { return kRefused; }
  Result<void> rename(const std::string&, const std::string&, unsigned, const Caller&) override {
    return kRefused;
  }
  Result<void> setattr(const std::string&, const SetAttr&, const Caller&) override {
    return kRefused;
  }
  Result<void> setxattr(const std::string&, const std::string&, std::string_view, int,
                        const Caller&) override {
    return kRefused;
  }
  Result<void> removexattr(const std::string&, const std::string&, const Caller&) override {
    return kRefused;
  }
  Result<struct statfs> statfs(const std::string&) override { return Errno(ENOENT); }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string&) override { return Errno(ENOENT); }
  Result<std::string> watch(const std::string&, const Caller&) override { return Errno(ENOENT); }

 private:
  static constexpr Errno kRefused = Errno(EACCES);
};

}  // namespace

std::shared_ptr<FileSystem> mount_hide(const MountRequest& request, Host&, MountError* error) {
  if (!check_options(request, {}, error)) return nullptr;
  return std::make_shared<HideFs>();
}

}  // namespace viewsh
