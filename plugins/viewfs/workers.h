#pragma once

#include <cstddef>
#include <functional>

namespace viewsh::viewfs {

/// What a piece of work spends its time on.
enum class Load {
  kCalls,  ///< system calls that are answered at once: a worker for each CPU
  kDisk,   ///< waiting for the disk, as unlink(2) does where freed blocks are discarded at once
};

/// With fewer things to do, a thread costs more than it brings.
constexpr size_t kWorthThreads = 256;
/// Above as many workers nothing is gained: of those that wait for the disk, and of the others.
constexpr size_t kMaxWorkers = 16;
constexpr size_t kMaxBusyWorkers = 4;

/// Calls `work(worker, i)` for every i below `count`: in the calling thread alone (worker 0) where
/// there are few, else in some threads, each of which takes the next 32 that nobody has. `worker`
/// is below kMaxWorkers. Whatever the threads share is the caller's to guard; all of them have
/// ended when this returns.
///
/// Work that returns false has failed, and nothing new is begun. Returned is the lowest i that
/// failed, or `count`. That is the one that would have failed first in one thread: all below it
/// were done. Some above it may have been done, too.
size_t spread(size_t count, Load load, const std::function<bool(size_t worker, size_t i)>& work);

/// Calls both, `other` in a thread of its own where there can be one. Both have returned then.
void side_by_side(const std::function<void()>& one, const std::function<void()>& other);

}  // namespace viewsh::viewfs
