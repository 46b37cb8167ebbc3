#pragma once

#include <memory>
#include <string>

#include "vfs/view.h"

namespace viewsh {

/// A view (or a part of it, with the mounts below) as one file system: what the mounts that are
/// stacked above it do their own input and output through. Holds the snapshot that it was made of.
class ViewFs : public FileSystem {
 public:
  ViewFs(std::shared_ptr<const View> view, std::string prefix)
      : view_(std::move(view)), prefix_(std::move(prefix)) {}

  std::string_view type() const override { return "view"; }
  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override;
  Result<Attr> getattr(const std::string& path) override;
  Result<std::vector<DirEntry>> list(const std::string& path) override;
  std::optional<std::string> reverse(const std::string& host) override;
  bool fix_attr(Attr* attr) override { return view_->fix_attr(attr); }
  bool fixes_attr() const override { return view_->fixes_attr(); }
  bool mark_attr(AttrMarks* marks) override { return view_->mark_attr(marks); }
  bool waits(std::string_view path, bool below) const override;
  bool waits_for(const Attr& object) const override;
  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override;
  void opened(const std::string& path, const OpenPlan& plan, bool success) override;
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
  bool own_meta() const override;
  Result<FileFlags> getflags(const std::string& path) override;
  Result<void> setflags(const std::string& path, const FileFlags& set,
                        const Caller& caller) override;
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override;
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override;
  Result<void> permits(const std::string& path, int want, const Caller& caller) override;
  Result<struct statfs> statfs(const std::string& path) override;
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override;
  Result<std::string> watch(const std::string& path, const Caller& caller) override;
  /// Of any of its mounts; what follows is for the one that has the object.
  bool keeps() const override;
  void writing(const std::string& host, const PlannedWrite& write) override;
  Result<void> sync_names(const std::string& host) override;

 private:
  Location at(const std::string& path) const;
  std::shared_ptr<const View> view_;
  std::string prefix_;  ///< absolute canonical view path
};

/// A listing as a view shows it: without what is hidden, with the mount points that are not there.
void correct_listing(const View& view, std::string_view view_dir, std::vector<DirEntry>* entries);

}  // namespace viewsh
