#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>

namespace viewsh::viewfs {
namespace {

constexpr size_t kChunk = 32;

size_t workers_for(size_t count, Load load) {
  if (count < kWorthThreads) return 1;
  if (load == Load::kDisk) return kMaxWorkers;
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) < 0) return 1;
  return std::clamp<size_t>(static_cast<size_t>(CPU_COUNT(&cpus)), 1, kMaxBusyWorkers);
}

/// What the threads of one call share.
struct Job {
  size_t count;
  const std::function<bool(size_t, size_t)>& work;
  std::atomic<size_t> next{0};
  std::atomic<size_t> failed;

  /// Chunks are taken in order and one that was begun goes on to its first failure, so all below
  /// the lowest failure are done whoever fails first.
  void run(size_t worker) {
    while (failed.load() == count) {
      const size_t from = next.fetch_add(kChunk);
      if (from >= count) return;
      const size_t end = std::min(from + kChunk, count);
      size_t i = from;
      while (i < end && work(worker, i)) ++i;
      if (i == end) continue;
      size_t lowest = failed.load();
      while (i < lowest && !failed.compare_exchange_weak(lowest, i)) {
      }
    }
  }
};

/// A thread that gets no signals: those are for the threads that were there before.
class Thread {
 public:
  /// False: there can be none.
  bool start(std::function<void()> work) {
    work_ = std::move(work);
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    running_ = pthread_create(&thread_, nullptr, run, this) == 0;
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    return running_;
  }
  void join() {
    if (running_) pthread_join(thread_, nullptr);
    running_ = false;
  }

 private:
  static void* run(void* self) {
    static_cast<Thread*>(self)->work_();
    return nullptr;
  }

  std::function<void()> work_;
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace

size_t spread(size_t count, Load load, const std::function<bool(size_t worker, size_t i)>& work) {
  Job job{count, work, {0}, {count}};
  Thread threads[kMaxWorkers];
  const size_t wanted = workers_for(count, load);
  for (size_t i = 1; i < wanted; ++i) {
    // Without one, the others do its share.
    if (!threads[i].start([&job, i] { job.run(i); })) break;
  }
  job.run(0);
  for (Thread& thread : threads) thread.join();
  return job.failed.load();
}

void side_by_side(const std::function<void()>& one, const std::function<void()>& other) {
  Thread thread;
  const bool started = thread.start(other);
  one();
  if (!started) other();
  thread.join();
}

}  // namespace viewsh::viewfs
