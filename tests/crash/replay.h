#pragma once

#include <functional>
#include <string>
#include <vector>

#include "disk.h"

namespace viewsh::crash {

/// Makes the states in which a power cut may leave a directory, each at its own place.
class Replay {
 public:
  /// `root` is moved aside. `before`: the disk when the recording began.
  Replay(std::string root, Disk before, std::vector<Op> ops);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  size_t size() const { return ops_.size(); }
  /// The operations before `cut`, a line each, for who looks for a fault.
  std::string told(size_t from, size_t cut) const;
  /// For every state of the disk after `cut` operations, which may not go down from call to call:
  /// with all that was written, without what was not synced, with the logs only, without the logs
  /// only. `check` gets what is on disk in words. The layers' logs are of another start of the
  /// machine.
  void states(size_t cut, const std::function<void(const std::string& what)>& check);
  /// With all that was written.
  void whole(size_t cut, const std::function<void()>& check);

 private:
  void make(const std::function<bool(Id)>& keeps, const std::function<void()>& check);
  void go_to(size_t cut);

  std::string root_, aside_;
  Disk disk_;
  std::vector<Op> ops_;
  size_t at_ = 0;
};

}  // namespace viewsh::crash
