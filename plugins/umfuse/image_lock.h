#pragma once

#include <memory>
#include <mutex>

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

/// Of calls that wait for a server: the next begins when the one before has ended. A call whose
/// task is gone doesn't wait for that; it gets nothing from the server any more, and what it does
/// itself it does between two steps of the other.
class CallLock final : public ImageLock {
 public:
  explicit CallLock(Suspension* suspension) : suspension_(suspension) {}
  void lock() override {
    while (holders_ > 0 && suspension_ != nullptr && suspension_->can_wait()) {
      const Result<void> waited = suspension_->wait(this);
      if (!waited && waited.error() == EINTR) break;
    }
    ++holders_;
  }
  void unlock() override {
    if (--holders_ == 0 && suspension_ != nullptr) suspension_->wake(this);
  }
  bool between_threads() const override { return false; }

 private:
  Suspension* suspension_;
  int holders_ = 0;
};

}  // namespace viewsh
