#include "vfs/turn_fs.h"

#include <utility>

#include "base/path.h"

namespace viewsh {

Result<void> Turn::take() {
  if (!taken_ && queue_.empty()) {
    taken_ = true;
    return {};
  }
  if (suspension_ == nullptr || !suspension_->can_wait()) return Errno(EBUSY);
  const auto self = queue_.insert(queue_.end(), 0);
  Result<void> waited;
  while (taken_ || self != queue_.begin()) {
    waited = suspension_->wait(this);
    if (!waited && waited.error() == EINTR) break;  // a signal with a handler waits, too
  }
  const bool gone = !waited && waited.error() == EINTR;
  queue_.erase(self);
  if (!gone) {
    taken_ = true;
  } else if (!taken_ && !queue_.empty()) {
    suspension_->wake(this);
  }
  return gone ? Result<void>(Errno(EINTR)) : Result<void>();
}

void Turn::give_back() {
  // It may have to wait itself, and more may come meanwhile.
  while (!late_.empty()) {
    for (const auto& work : std::exchange(late_, {})) work();
  }
  taken_ = false;
  if (!queue_.empty()) suspension_->wake(this);
}

void Turn::once_free(std::function<void()> work) {
  late_.push_back(std::move(work));
  if (taken_) return;
  taken_ = true;
  give_back();
}

Result<Found> TurnFs::resolve(const std::string& base, std::string_view rest, ResolveFlags flags,
                              const Caller& caller) {
  return at(join_path(base, rest), [&] { return fs_->resolve(base, rest, flags, caller); });
}

bool TurnFs::fix_attr(Attr* attr) {
  if (!fs_->waits_for(*attr)) return fs_->fix_attr(attr);
  // Without a turn, for a task that is gone, nobody looks at what it says.
  const auto fixed = in_turn([&]() -> Result<bool> { return fs_->fix_attr(attr); });
  return fixed && *fixed;
}

void TurnFs::opened(const std::string& path, const OpenPlan& plan, bool success) {
  if (!fs_->waits(path, false)) return fs_->opened(path, plan, success);
  turn_->once_free([fs = fs_, path, plan, success] { fs->opened(path, plan, success); });
}

Result<std::shared_ptr<FileSystem>> TurnFs::subtree(const std::string& path) {
  TRY_ASSIGN(auto part, at(path, [&] { return fs_->subtree(path); }));
  if (!part->waits("", true)) return part;
  return std::shared_ptr<FileSystem>(std::make_shared<TurnFs>(std::move(part), turn_));
}

}  // namespace viewsh
