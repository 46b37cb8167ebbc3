#pragma once

#include "fuse_channel.h"
#include "viewsh/suspension.h"

namespace viewsh {

/// Requests of calls that the engine suspends meanwhile. Where nobody can be suspended (the view
/// ends) the server gets a moment, and then isn't waited for.
class CallWait final : public FuseWait {
 public:
  static constexpr int kMomentMs = 2000;
  explicit CallWait(Suspension* suspension) : suspension_(suspension), moment_(kMomentMs) {}
  Result<void> wait(FuseChannel& channel, uint64_t unique) override {
    if (suspension_ == nullptr || !suspension_->can_wait()) {
      Result<void> waited = moment_.wait(channel, unique);
      // By a signal of the engine's own, a timer's: the moment isn't over.
      while (!waited && waited.error() == EINTR) waited = moment_.wait(channel, unique);
      return waited;
    }
    suspension_->want_write(channel.fd(), channel.wants_write());
    return suspension_->wait(&channel);
  }

 private:
  Suspension* suspension_;
  FusePollWait moment_;
};

}  // namespace viewsh
