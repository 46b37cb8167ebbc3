#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "viewsh/suspension.h"

namespace viewsh {

/// Keeps the calls of one file system apart. Lockable: std::lock_guard takes it.
class ImageLock {
 public:
  virtual ~ImageLock() = default;
  virtual void lock() = 0;
  virtual void unlock() = 0;
  /// Others may be at work at any moment, not only while a call waits.
  virtual bool between_threads() const = 0;
};

class MutexLock final : public ImageLock {
 public:
  explicit MutexLock(std::shared_ptr<std::mutex> mutex) : mutex_(std::move(mutex)) {}
  void lock() override { mutex_->lock(); }
  void unlock() override { mutex_->unlock(); }
  bool between_threads() const override { return true; }

 private:
  std::shared_ptr<std::mutex> mutex_;
};

/// Of calls that wait for a server. All of them have it at the same time, and what keeps them apart
/// is finer (NodeGates); the end of the file system has it alone. Who comes first enters first. A
/// call whose task is gone doesn't wait; it gets nothing from the server any more, and what it does
/// itself it does between two steps of the others.
class CallLock final : public ImageLock {
 public:
  explicit CallLock(Suspension* suspension) : suspension_(suspension) {}
  void lock() override { enter(true); }
  void unlock() override { leave(&sharing_); }
  void lock_alone() { enter(false); }
  void unlock_alone() { leave(&alone_); }
  bool between_threads() const override { return false; }
  /// Calls that have it, or wait for it.
  size_t users() const { return static_cast<size_t>(alone_ + sharing_) + queue_.size(); }

 private:
  bool may_enter(bool shares) const { return alone_ == 0 && (shares || sharing_ == 0); }
  void enter(bool shares) {
    if (!queue_.empty() || !may_enter(shares)) wait(shares);
    ++(shares ? sharing_ : alone_);
  }
  void wait(bool shares) {
    const auto self = queue_.insert(queue_.end(), shares);
    while (suspension_ != nullptr && suspension_->can_wait()) {
      if (self == queue_.begin() && may_enter(shares)) break;
      const Result<void> waited = suspension_->wait(this);
      if (!waited && waited.error() == EINTR) break;
    }
    queue_.erase(self);
    // The next one may share it, too.
    if (suspension_ != nullptr && !queue_.empty()) suspension_->wake(this);
  }
  void leave(int* holders) {
    --*holders;
    if (suspension_ != nullptr && !queue_.empty()) suspension_->wake(this);
  }

  Suspension* suspension_;
  std::list<bool> queue_;  ///< of each that waits: does it share?
  int alone_ = 0;
  int sharing_ = 0;
};

/// Of calls that share a CallLock: what is done with the content of one node, one after the other.
class NodeLocks {
 public:
  explicit NodeLocks(Suspension* suspension) : suspension_(suspension) {}

  /// As long as it lives nobody else has the node.
  class Hold {
   public:
    Hold() = default;
    Hold(NodeLocks* locks, uint64_t node) : locks_(locks), node_(node) {}
    Hold(Hold&& from) noexcept : locks_(std::exchange(from.locks_, nullptr)), node_(from.node_) {}
    Hold& operator=(Hold&&) = delete;
    ~Hold() {
      if (locks_ != nullptr) locks_->let_go(node_);
    }

   private:
    NodeLocks* locks_ = nullptr;
    uint64_t node_ = 0;
  };
  /// EINTR: the task is gone. EDEADLK: the view ends, and what has the node doesn't go on before.
  Result<Hold> hold(uint64_t node) {
    while (held_.count(node) != 0) {
      if (suspension_ == nullptr || !suspension_->can_wait()) return Errno(EDEADLK);
      const Result<void> waited = suspension_->wait(this);
      if (!waited && waited.error() == EINTR) return waited.error();
    }
    held_.insert(node);
    return Hold(this, node);
  }

 private:
  void let_go(uint64_t node) {
    held_.erase(node);
    if (suspension_ != nullptr) suspension_->wake(this);
  }

  Suspension* suspension_;
  std::unordered_set<uint64_t> held_;
};

/// Of an image without them nothing is done at the same time.
inline Result<NodeLocks::Hold> hold_node(NodeLocks* locks, uint64_t node) {
  if (locks == nullptr) return NodeLocks::Hold();
  return locks->hold(node);
}

}  // namespace viewsh
