#pragma once

#include <functional>
#include <initializer_list>
#include <list>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "viewsh/filesystem.h"
#include "viewsh/suspension.h"

namespace viewsh {

/// Calls that can stop in the middle, one after the other in the order in which they came. Used by
/// the engine's thread alone.
class Turn {
 public:
  explicit Turn(Suspension* suspension) : suspension_(suspension) {}

  /// EINTR: the task is gone before its turn came. EBUSY: nobody can wait, and somebody has it.
  Result<void> take();
  void give_back();
  /// Now, or when whoever has it has ended. What can't fail, and so can't be left undone.
  void once_free(std::function<void()> work);

 private:
  Suspension* suspension_;
  bool taken_ = false;
  std::list<int> queue_;
  std::vector<std::function<void()>> late_;
};

/// A file system whose calls aren't made to be interleaved, over one whose calls wait for a server
/// (a copy-on-write or a union over a FUSE mount): those for what waits() below are made one after
/// the other. All others can't be stopped in the middle, and are made as they come: who works
/// elsewhere doesn't wait for a server that hangs.
class TurnFs final : public FileSystem {
 public:
  TurnFs(std::shared_ptr<FileSystem> fs, std::shared_ptr<Turn> turn)
      : fs_(std::move(fs)), turn_(std::move(turn)) {}

  Result<Found> resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                        const Caller& caller) override;
  Result<Attr> getattr(const std::string& path) override {
    return at(path, [&] { return fs_->getattr(path); });
  }
  Result<std::vector<DirEntry>> list(const std::string& path) override {
    return at(path, [&] { return fs_->list(path); });
  }
  std::optional<std::string> reverse(const std::string& host) override {
    return fs_->reverse(host);
  }
  std::optional<std::string> own_path(const std::string& host, const struct stat& object) override {
    return fs_->own_path(host, object);
  }
  std::optional<std::string> shown_at(const Attr& object) override { return fs_->shown_at(object); }
  bool fix_attr(Attr* attr) override;
  bool fixes_attr() const override { return fs_->fixes_attr(); }
  bool mark_attr(AttrMarks* marks) override { return fs_->mark_attr(marks); }
  bool mark_names(NameMarks* names) override { return fs_->mark_names(names); }
  /// What could have to wait for that is looked up by a stop.
  bool shows_host(const std::string& path) override {
    return !fs_->waits(path, false) && fs_->shows_host(path);
  }
  bool waits(std::string_view path, bool below) const override { return fs_->waits(path, below); }
  bool waits_for(const Attr& object) const override { return fs_->waits_for(object); }

  std::string_view type() const override { return fs_->type(); }
  bool transparent() const override { return fs_->transparent(); }
  bool read_only() const override { return fs_->read_only(); }
  bool copies_refused() const override { return fs_->copies_refused(); }

  Result<OpenPlan> plan_open(const std::string& path, const OpenHow& how,
                             const Caller& caller) override {
    return at(path, [&] { return fs_->plan_open(path, how, caller); });
  }
  void opened(const std::string& path, const OpenPlan& plan, bool success) override;

  Result<void> mkdir(const std::string& path, mode_t mode, const Caller& caller) override {
    return at(path, [&] { return fs_->mkdir(path, mode, caller); });
  }
  Result<void> mknod(const std::string& path, mode_t mode, dev_t dev,
                     const Caller& caller) override {
    return at(path, [&] { return fs_->mknod(path, mode, dev, caller); });
  }
  Result<void> symlink(const std::string& path, const std::string& target,
                       const Caller& caller) override {
    return at(path, [&] { return fs_->symlink(path, target, caller); });
  }
  Result<void> link(const std::string& from, const std::string& to, const Caller& caller) override {
    return changing({&from, &to}, [&] { return fs_->link(from, to, caller); });
  }
  Result<void> link_host(const std::string& host_fd, const std::string& to,
                         const Caller& caller) override {
    return at(to, [&] { return fs_->link_host(host_fd, to, caller); });
  }
  Result<void> unlink(const std::string& path, const Caller& caller) override {
    return at(path, [&] { return fs_->unlink(path, caller); });
  }
  Result<void> rmdir(const std::string& path, const Caller& caller) override {
    return changing({&path}, [&] { return fs_->rmdir(path, caller); });
  }
  Result<void> rename(const std::string& from, const std::string& to, unsigned flags,
                      const Caller& caller) override {
    return changing({&from, &to}, [&] { return fs_->rename(from, to, flags, caller); });
  }
  Result<void> setattr(const std::string& path, const SetAttr& set, const Caller& caller) override {
    return at(path, [&] { return fs_->setattr(path, set, caller); });
  }
  Result<void> setxattr(const std::string& path, const std::string& name, std::string_view value,
                        int flags, const Caller& caller) override {
    return at(path, [&] { return fs_->setxattr(path, name, value, flags, caller); });
  }
  Result<void> removexattr(const std::string& path, const std::string& name,
                           const Caller& caller) override {
    return at(path, [&] { return fs_->removexattr(path, name, caller); });
  }
  bool own_meta() const override { return fs_->own_meta(); }
  Result<FileFlags> getflags(const std::string& path) override {
    return at(path, [&] { return fs_->getflags(path); });
  }
  Result<void> setflags(const std::string& path, const FileFlags& set,
                        const Caller& caller) override {
    return at(path, [&] { return fs_->setflags(path, set, caller); });
  }
  Result<std::string> getxattr(const std::string& path, const std::string& name,
                               const Caller& caller) override {
    return at(path, [&] { return fs_->getxattr(path, name, caller); });
  }
  Result<std::vector<std::string>> listxattr(const std::string& path,
                                             const Caller& caller) override {
    return at(path, [&] { return fs_->listxattr(path, caller); });
  }
  Result<void> permits(const std::string& path, int want, const Caller& caller) override {
    return at(path, [&] { return fs_->permits(path, want, caller); });
  }
  Result<struct statfs> statfs(const std::string& path) override {
    return at(path, [&] { return fs_->statfs(path); });
  }
  Result<std::shared_ptr<FileSystem>> subtree(const std::string& path) override;
  Result<std::string> watch(const std::string& path, const Caller& caller) override {
    return at(path, [&] { return fs_->watch(path, caller); });
  }
  uint64_t reserve(uint64_t bytes) override { return fs_->reserve(bytes); }
  bool quota() const override { return fs_->quota(); }
  void writing(const std::string& host, const PlannedWrite& write) override {
    fs_->writing(host, write);
  }
  bool asks_where(const std::string& host) override { return fs_->asks_where(host); }
  Result<void> sync_names(const std::string& host) override { return fs_->sync_names(host); }
  Result<void> sync_all() override { return fs_->sync_all(); }
  bool keeps() const override { return fs_->keeps(); }
  Result<void> shutdown() override { return fs_->shutdown(); }

 private:
  template <typename Call>
  std::invoke_result_t<Call> in_turn(const Call& call) {
    TRY(turn_->take());
    struct GiveBack {
      Turn& turn;
      ~GiveBack() { turn.give_back(); }
    } const given{*turn_};
    return call();
  }
  /// What is done at a path alone.
  template <typename Call>
  std::invoke_result_t<Call> at(const std::string& path, const Call& call) {
    return fs_->waits(path, false) ? in_turn(call) : call();
  }
  /// What takes along, or covers, all that is below the paths.
  template <typename Call>
  std::invoke_result_t<Call> changing(std::initializer_list<const std::string*> paths,
                                      const Call& call) {
    for (const std::string* path : paths) {
      if (fs_->waits(*path, true)) return in_turn(call);
    }
    return call();
  }

  std::shared_ptr<FileSystem> fs_;
  std::shared_ptr<Turn> turn_;
};

}  // namespace viewsh
