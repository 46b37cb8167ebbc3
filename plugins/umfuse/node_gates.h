#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <utility>

#include "viewsh/result.h"
#include "viewsh/suspension.h"

namespace viewsh {

/// Keeps apart what calls that wait for a server do with names and nodes, as the i_rwsem of the
/// kernel's inodes and s_vfs_rename_mutex do. Whatever is held stays so while the server is asked;
/// nothing else does, so that only those wait for a call that hangs who want the same.
///
/// Who takes several takes them in this order: kTree; kNames of directories, those that are above
/// first, else by number; kLife; kUse; then NodeLocks, of contents. lock_rename() of fs/namei.c
class NodeGates : public std::enable_shared_from_this<NodeGates> {
 public:
  enum Kind : uint8_t {
    kTree,   ///< of node 0: a directory may get another parent
    kNames,  ///< the names in a directory
    kLife,   ///< the node is there (shared); it goes (alone)
    kUse,    ///< the node is opened (shared); its attributes change (alone)
    kSync,   ///< of node 0: what was changed is brought to the server's disk
    kRoom,   ///< of node 0: the server is asked how much room there is
  };
  explicit NodeGates(Suspension* suspension) : suspension_(suspension) {}

 private:
  using Key = std::pair<uint64_t, Kind>;
  struct Gate {
    int alone = 0;
    int sharing = 0;
    std::list<bool> queue;  ///< of each that waits: does it share?
    bool admits(bool shares) const { return alone == 0 && (shares || sharing == 0); }
  };

 public:
  class Hold {
   public:
    Hold() = default;
    Hold(std::shared_ptr<NodeGates> gates, Key key, bool shares, bool waited)
        : gates_(std::move(gates)), key_(key), shares_(shares), waited_(waited) {}
    Hold(Hold&& from) noexcept { *this = std::move(from); }
    Hold& operator=(Hold&& from) noexcept {
      release();
      gates_ = std::move(from.gates_);
      key_ = from.key_;
      shares_ = from.shares_;
      waited_ = from.waited_;
      return *this;
    }
    ~Hold() { release(); }
    void release() {
      if (gates_ != nullptr) std::exchange(gates_, nullptr)->leave(key_, shares_);
    }
    /// Others were there before: what was known may be old.
    bool waited() const { return waited_; }

   private:
    std::shared_ptr<NodeGates> gates_;
    Key key_{};
    bool shares_ = false;
    bool waited_ = false;
  };

  /// Who comes first enters first. EINTR: the task is gone. Where nobody can wait (the view ends)
  /// nobody does.
  Result<Hold> enter(uint64_t node, Kind kind, bool shares) {
    const Key key{node, kind};
    Gate& gate = gates_[key];
    const bool waits = !gate.queue.empty() || !gate.admits(shares);
    if (waits) TRY(wait(key, &gate, shares));
    ++(shares ? gate.sharing : gate.alone);
    return Hold(shared_from_this(), key, shares, waits);
  }
  /// Of gates that somebody has or wants.
  size_t size() const { return gates_.size(); }

 private:
  Result<void> wait(const Key& key, Gate* gate, bool shares) {
    const auto self = gate->queue.insert(gate->queue.end(), shares);
    Result<void> done;
    while (done.ok() && suspension_ != nullptr && suspension_->can_wait()) {
      if (self == gate->queue.begin() && gate->admits(shares)) break;
      const Result<void> waited = suspension_->wait(gate);
      if (!waited && waited.error() == EINTR) done = waited;
    }
    gate->queue.erase(self);
    // The next one may share it, too; or gets what this one doesn't want any more.
    pass(key, gate, !done.ok());
    return done;
  }
  void leave(const Key& key, bool shares) {
    Gate& gate = gates_[key];
    --(shares ? gate.sharing : gate.alone);
    pass(key, &gate, true);
  }
  void pass(const Key& key, Gate* gate, bool may_end) {
    if (!gate->queue.empty()) {
      if (suspension_ != nullptr) suspension_->wake(gate);
    } else if (may_end && gate->alone == 0 && gate->sharing == 0) {
      gates_.erase(key);
    }
  }

  Suspension* suspension_;
  std::map<Key, Gate> gates_;
};

/// Of an image without them nothing is done at the same time.
inline Result<NodeGates::Hold> enter_gate(const std::shared_ptr<NodeGates>& gates, uint64_t node,
                                          NodeGates::Kind kind, bool shares) {
  if (gates == nullptr) return NodeGates::Hold();
  return gates->enter(node, kind, shares);
}

}  // namespace viewsh
