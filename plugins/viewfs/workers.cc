#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>

namespace viewsh::viewfs {
namespace {

constexpr size_t kChunk = 32;
constexpr size_t kWorthIt = 256;  ///< below, a thread costs more than it brings

size_t workers_for(size_t count, Load load) {
  if (count < kWorthIt) return 1;
  if (load == Load::kDisk) return kMaxWorkers;
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof cpus, &cpus) < 0) return 1;
  return std::clamp<size_t>(static_cast<size_t>(CPU_COUNT(&cpus)), 1, kMaxWorkers);
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

struct Worker {
  Job* job = nullptr;
  size_t number = 0;
  pthread_t thread{};
  bool running = false;

  static void* start(void* self) {
    auto* worker = static_cast<Worker*>(self);
    worker->job->run(worker->number);
    return nullptr;
  }
};

}  // namespace

size_t spread(size_t count, Load load, const std::function<bool(size_t worker, size_t i)>& work) {
  Job job{count, work, {0}, {count}};
  Worker workers[kMaxWorkers];
  const size_t wanted = workers_for(count, load);
  // Signals are for the threads that were there before.
  sigset_t all;
  sigset_t old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  for (size_t i = 1; i < wanted; ++i) {
    workers[i].job = &job;
    workers[i].number = i;
    // Without it, the others do its share.
    workers[i].running =
        pthread_create(&workers[i].thread, nullptr, Worker::start, &workers[i]) == 0;
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  job.run(0);
  for (Worker& worker : workers) {
    if (worker.running) pthread_join(worker.thread, nullptr);
  }
  return job.failed.load();
}

}  // namespace viewsh::viewfs
