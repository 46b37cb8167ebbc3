#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "viewsh/filesystem.h"

namespace viewsh {

/// What was learned of host paths lately: directories reached without a symbolic link, and links.
/// Shared by all HostFs of an engine. An entry is believed for kLifetime after it was seen; changes
/// made by the view itself clear() it at once, and while one of them is under way (freeze())
/// nothing is kept, since the call that makes it may run after our look.
class PathCache {
 public:
  static constexpr int64_t kLifetimeNs = 50'000'000;
  static constexpr size_t kMaxEntries = 16384;
  /// Is this an existing directory whose every component is a directory?
  bool is_plain_dir(const std::string& path);
  void put_plain_dir(const std::string& path);
  /// The link's text, or null.
  const std::string* link(const std::string& path);
  void put_link(const std::string& path, const std::string& target);
  void clear();
  void freeze() {
    ++frozen_;
    clear();
  }
  void thaw() { --frozen_; }
  /// Takes the time once per stop instead of once per look-up.
  void tick();

 private:
  struct Entry {
    int64_t until = 0;
    bool is_link = false;
    std::string target;
  };
  void put(const std::string& path, Entry entry);
  std::unordered_map<std::string, Entry> entries_;
  int64_t now_ = 0;
  int frozen_ = 0;
};

/// A directory or file of the host, as it is. transparent(): the task's own call does everything.
/// Its changing operations act with the engine's rights and the caller's umask; they are there for
/// file systems stacked above it.
class HostFs : public FileSystem {
 public:
  /// root: absolute canonical host path.
  HostFs(std::string root, std::shared_ptr<PathCache> cache);
  const std::string& root() const { return root_; }
  std::string host_path(std::string_view path) const;

  std::string_view type() const override { return "host"; }
  bool transparent() const override { return true; }
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override;
  Result<Attr> getattr(const std::string& path) override;
  Result<std::vector<DirEntry>> list(const std::string& path) override;
  std::optional<std::string> reverse(const std::string& host) override;
  bool fix_attr(Attr*) override { return false; }
  bool fixes_attr() const override { return false; }
  bool mark_attr(AttrMarks*) override { return true; }
  bool mark_names(NameMarks*) override { return root_.empty(); }
  bool shows_host(const std::string& path) override;
  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string&, const OpenPlan&, bool) override {}
  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override;
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override;
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override;
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override;
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override;
  Result<void> unlink(const std::string& path, const Caller& caller) override;
  Result<void> rmdir(const std::string& path, const Caller& caller) override;
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override;
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override;
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override;
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override;
  Result<std::string> watch(const std::string& path, const Caller& caller) override;

 private:
  Result<Found> scan(const std::string& base, std::string_view rest, ResolveFlags flags);
  Result<Found> look_at_last(std::string full, size_t consumed, ResolveFlags flags);
  bool cached_link_on_way(const std::string& base, std::string_view rest, Found* found);

  std::string root_;
  std::shared_ptr<PathCache> cache_;
};

}  // namespace viewsh
