#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "image_flusher.h"
#include "image_lock.h"
#include "image_outer.h"
#include "viewsh/filesystem.h"

namespace viewsh {

/// A file system that is used by more than one thread, or by calls that wait in the middle: each
/// call has the lock. Callers are who they are in the view, as which their ids are recorded, or
/// root, as with the option fakeroot of fuse2fs(1).
class LockedFs : public FileSystem {
 public:
  /// `outer`: who has the file that an image is in, to be synced after it, without the lock, as
  /// that may wait; may be null.
  LockedFs(std::shared_ptr<FileSystem> fs, std::shared_ptr<ImageLock> lock, bool fakeroot,
           std::shared_ptr<ImageOuter> outer = nullptr)
      : fs_(std::move(fs)), lock_(std::move(lock)), fakeroot_(fakeroot), outer_(std::move(outer)) {}
  /// Any thread may call anything of it, at any moment, and none of it waits for a server.
  bool is_for_threads() const {
    return lock_->between_threads() && (outer_ == nullptr || outer_->by_any_thread());
  }
  /// Several calls of it as one.
  Result<void> at_once(const std::function<Result<void>(FileSystem&)>& calls) {
    return locked([&] { return calls(*fs_); });
  }
  /// From now on until shutdown(). The lock is that of `mutex`.
  void flush_regularly(std::shared_ptr<std::mutex> mutex) {
    flusher_ = std::make_unique<ImageFlusher>(*fs_, std::move(mutex));
  }

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override {
    return locked([&] { return fs_->resolve(base, rest, flags, who(caller)); });
  }
  Result<Attr> getattr(const std::string& path) override {
    return locked([&] { return fs_->getattr(path); });
  }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    return locked([&] { return fs_->list(path); });
  }
  std::optional<std::string> reverse(const std::string& host) override {
    return brief([&] { return fs_->reverse(host); });
  }
  std::optional<std::string> own_path(const std::string& host, const struct stat& object) override {
    return brief([&] { return fs_->own_path(host, object); });
  }
  std::optional<std::string> shown_at(const Attr& object) override {
    return brief([&] { return fs_->shown_at(object); });
  }
  bool fix_attr(Attr* attr) override {
    return brief([&] { return fs_->fix_attr(attr); });
  }
  bool fixes_attr() const override { return fs_->fixes_attr(); }
  bool mark_attr(AttrMarks* marks) override {
    return brief([&] { return fs_->mark_attr(marks); });
  }

  bool waits(std::string_view path, bool below) const override { return fs_->waits(path, below); }
  bool waits_for(const Attr& object) const override { return fs_->waits_for(object); }

  std::string_view type() const override { return fs_->type(); }
  bool transparent() const override { return fs_->transparent(); }
  bool read_only() const override { return fs_->read_only(); }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override {
    return locked([&] { return fs_->plan_open(path, how, who(caller)); });
  }
  void opened(const std::string& path, const OpenPlan& plan, bool success) override {
    locked([&] { fs_->opened(path, plan, success); });
  }

  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override {
    return locked([&] { return fs_->mkdir(path, mode, who(caller)); });
  }
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override {
    return locked([&] { return fs_->mknod(path, mode, dev, who(caller)); });
  }
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override {
    return locked([&] { return fs_->symlink(path, target, who(caller)); });
  }
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override {
    return locked([&] { return fs_->link(from, to, who(caller)); });
  }
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override {
    return locked([&] { return fs_->link_host(host_fd, to, who(caller)); });
  }
  Result<void> unlink(const std::string& path, const Caller& caller) override {
    return locked([&] { return fs_->unlink(path, who(caller)); });
  }
  Result<void> rmdir(const std::string& path, const Caller& caller) override {
    return locked([&] { return fs_->rmdir(path, who(caller)); });
  }
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override {
    return locked([&] { return fs_->rename(from, to, flags, who(caller)); });
  }
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override {
    return locked([&] { return fs_->setattr(path, set, who(caller)); });
  }
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override {
    return locked([&] { return fs_->setxattr(path, name, value, flags, who(caller)); });
  }
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override {
    return locked([&] { return fs_->removexattr(path, name, who(caller)); });
  }
  bool own_meta() const override { return fs_->own_meta(); }
  Result<FileFlags> getflags(const std::string& path) override {
    return locked([&] { return fs_->getflags(path); });
  }
  Result<void> setflags(const std::string& path, const FileFlags& set,
                        const Caller& caller) override {
    return locked([&] { return fs_->setflags(path, set, who(caller)); });
  }
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override {
    return locked([&] { return fs_->getxattr(path, name, who(caller)); });
  }
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override {
    return locked([&] { return fs_->listxattr(path, who(caller)); });
  }
  Result<void> permits(const std::string& path, int want, const Caller& caller) override {
    return locked([&] { return fs_->permits(path, want, who(caller)); });
  }
  bool asks_where(const std::string& host) override {
    return brief([&] { return fs_->asks_where(host); });
  }
  void writing(const std::string& host, const PlannedWrite& write) override {
    brief([&] { fs_->writing(host, write); });
  }
  Result<struct statfs> statfs(const std::string& path) override {
    return locked([&] { return fs_->statfs(path); });
  }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override {
    TRY_ASSIGN(auto part, locked([&] { return fs_->subtree(path); }));
    return std::shared_ptr<FileSystem>(
        std::make_shared<LockedFs>(std::move(part), lock_, fakeroot_, outer_));
  }
  Result<std::string> watch(const std::string& path, const Caller& caller) override {
    return locked([&] { return fs_->watch(path, who(caller)); });
  }
  uint64_t reserve(uint64_t bytes) override {
    return locked([&] { return fs_->reserve(bytes); });
  }
  bool quota() const override { return fs_->quota(); }
  Result<void> sync_names(const std::string& host) override {
    // Another file's fsync(2), that of a server while it answers among them, waits for nobody here.
    if (!host.empty() && !reverse(host)) return {};
    return and_outer(locked([&] { return fs_->sync_names(host); }));
  }
  Result<void> sync_all() override {
    return and_outer(locked([&] { return fs_->sync_all(); }));
  }
  bool keeps() const override { return fs_->keeps(); }
  Result<void> shutdown() override {
    flusher_.reset();
    return and_outer(locked([&] { return fs_->shutdown(); }));
  }

 protected:
  template <typename Call>
  std::invoke_result_t<Call> locked(const Call& call) {
    // It may be the last that has the file system.
    const std::shared_ptr<ImageLock> kept = lock_;
    const std::lock_guard<ImageLock> lock(*kept);
    if constexpr (requires(std::invoke_result_t<Call> result) { result.error(); }) {
      auto result = call();
      // What was found has gone while the call waited. retry_estale() of include/linux/namei.h
      const bool again = !kept->between_threads();
      for (int left = kRetries; again && left > 0 && result.error() == ESTALE; --left)
        result = call();
      return result;
    } else {
      return call();
    }
  }
  /// What never waits.
  template <typename Call>
  std::invoke_result_t<Call> brief(const Call& call) {
    if (!lock_->between_threads()) return call();
    return locked(call);
  }

  /// The first error counts; what did get into the image is brought on all the same.
  Result<void> and_outer(const Result<void>& done) const {
    if (outer_ == nullptr) return done;
    const Result<void> brought = outer_->sync();
    return done ? brought : done;
  }

  Caller who(const Caller& caller) const {
    return fakeroot_ ? Caller{0, 0, {}, caller.umask} : caller.in_view();
  }

 private:
  static constexpr int kRetries = 3;

  std::shared_ptr<FileSystem> fs_;
  std::shared_ptr<ImageLock> lock_;
  bool fakeroot_;
  std::shared_ptr<ImageOuter> outer_;
  std::unique_ptr<ImageFlusher> flusher_;
};

}  // namespace viewsh
